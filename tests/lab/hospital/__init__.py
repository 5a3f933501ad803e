"""The hospital's programs: real protocol software in the lab's namespaces, as servers and as clients."""
