"""The lab's network: namespaces, links, the firewall with a real SSH server, its proxy, and the prober."""
