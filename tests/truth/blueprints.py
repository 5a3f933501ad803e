# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Blueprints: what kinds of devices a site has and who talks to whom, how often. Written down once for each kind of site, as text.

A line of TYPES: name, zone, criticality, count at scale 1, how it is addressed (dhcp, static). A line of TALKS: client, server, service,
cadence, flows on an active day, reach, remarks. The server is a type, ``net:NAME`` (addresses outside) or ``*`` (every other type).

Cadence: ``daily``, ``weekday``, ``weekly``, ``monthend`` (last two days of a month), ``firmware`` (all devices within three days, every
few weeks), ``failover`` (on the days on which a site fails over), ``rare:P`` (each device on a share P of days, which differs from device
to device by a factor of about four either way), ``user:P`` (alike, weekdays only). Reach: ``home`` (each client has one server), ``all``,
``any`` (one at random each day). Remark ``life``: the conversation may not be cut, whatever else is.
"""

from __future__ import annotations

from dataclasses import dataclass

SERVICES = {
    "dns": (17, 53, 53), "ntp": (17, 123, 123), "https": (6, 443, 443), "http": (6, 80, 80), "ssh": (6, 22, 22), "smb": (6, 445, 445),
    "snmp": (17, 161, 161), "syslog": (17, 514, 514), "rdp": (6, 3389, 3389), "ldaps": (6, 636, 636), "print": (6, 9100, 9100),
    "dicom": (6, 11112, 11112), "hl7": (6, 2575, 2575), "pump": (6, 8443, 8443), "vitals": (17, 24105, 24105), "alarm": (6, 9001, 9001),
    "rtsp": (6, 554, 554), "bacnet": (17, 47808, 47808), "modbus": (6, 502, 502), "s7": (6, 102, 102), "enip": (6, 44818, 44818),
    "opcua": (6, 4840, 4840), "iec104": (6, 2404, 2404), "mms": (6, 10102, 10102), "mqtt": (6, 8883, 8883), "sip": (17, 5060, 5060),
    "tftp-fw": (6, 8081, 8081), "badge": (6, 4070, 4070), "backup": (6, 10566, 10566), "calib": (6, 7402, 7402),
    "ptp-tool": (6, 30718, 30718),
    "dcom": (6, 49160, 49179), "lims": (6, 1414, 1414), "trip": (6, 20547, 20547), "sync": (6, 5432, 5432), "paging": (6, 4101, 4101),
}  # fmt: skip
# Services that the site's services.yml does not name: real ones never name all.
UNNAMED = ("calib", "ptp-tool", "badge")

TYPES = {
    "hospital": """
infusion_pumps clinical life_support 60 dhcp
patient_monitors clinical life_support 40 dhcp
ventilators clinical life_support 16 dhcp
lab_analyzers clinical high 10 static
imaging imaging high 10 static
workstations office medium 50 dhcp
badge_readers building low 25 dhcp
cameras building low 30 dhcp
hvac building high 8 static
printers office low 10 dhcp
pump_servers data_center high 2 static
central_stations data_center life_support 4 static
emr data_center high 2 static
pacs data_center high 3 static
infrastructure data_center high 3 static
recorders data_center low 2 static
bms data_center high 1 static
files data_center medium 2 static
nms data_center medium 1 static
""",
    "plant": """
plcs cell high 40 static
drives cell medium 40 static
hmis cell high 14 static
safety_plcs cell life_support 8 static
robots cell high 16 static
sensors cell low 50 dhcp
engineering office medium 6 dhcp
workstations office medium 30 dhcp
cameras building low 16 dhcp
scada data_center high 2 static
historian data_center medium 2 static
safety_servers data_center life_support 2 static
mes data_center high 2 static
infrastructure data_center high 2 static
recorders data_center low 1 static
nms data_center medium 1 static
""",
    "campus": """
phones access medium 80 dhcp
cameras building low 50 dhcp
badge_readers building low 40 dhcp
printers access low 20 dhcp
workstations office medium 70 dhcp
displays access low 20 dhcp
thermostats building medium 40 dhcp
fire_panels building life_support 6 static
lifts building high 6 static
voice_servers data_center high 2 static
recorders data_center low 3 static
access_servers data_center medium 1 static
bms data_center high 2 static
fire_servers data_center life_support 2 static
infrastructure data_center high 3 static
files data_center medium 2 static
nms data_center medium 1 static
""",
    "substation": """
relays bay high 40 static
bay_controllers bay high 16 static
meters bay medium 40 dhcp
protection bay life_support 12 static
gateways bay high 4 static
cameras building low 10 dhcp
engineering office medium 4 dhcp
workstations office medium 12 dhcp
scada data_center high 2 static
trip_servers data_center life_support 2 static
meter_servers data_center medium 1 static
infrastructure data_center high 2 static
recorders data_center low 1 static
nms data_center medium 1 static
""",
}

TALKS = {
    "hospital": """
infusion_pumps pump_servers pump daily 5 home life
infusion_pumps infrastructure dns daily 3 all
infusion_pumps infrastructure ntp daily 2 home
infusion_pumps net:pump_vendor https firmware 1 any
infusion_pumps pump_servers calib rare:0.02 1 home
patient_monitors central_stations vitals daily 6 home life
patient_monitors central_stations alarm rare:0.25 1 home life
patient_monitors emr hl7 daily 3 home
patient_monitors infrastructure ntp daily 2 home
patient_monitors patient_monitors alarm rare:0.05 1 any life
ventilators central_stations alarm daily 3 home life
ventilators emr hl7 daily 2 home
ventilators infrastructure ntp daily 1 home
ventilators net:vent_service https rare:0.01 1 any
lab_analyzers emr hl7 daily 8 all
lab_analyzers files smb weekday 2 home
lab_analyzers emr lims monthend 3 home
lab_analyzers infrastructure dns daily 2 all
imaging pacs dicom weekday 8 home
imaging emr hl7 weekday 3 home
imaging infrastructure dns daily 2 all
imaging net:imaging_vendor https rare:0.03 1 any
pacs imaging dicom rare:0.2 1 any
pacs net:dr_site dicom failover 3 any
pacs pacs sync daily 4 all
workstations emr https weekday 6 all
workstations pacs https user:0.5 3 any
workstations files smb weekday 4 all
workstations infrastructure dns daily 6 all
workstations infrastructure ldaps weekday 3 any
workstations net:web https weekday 6 any
workstations printers print user:0.25 1 any
badge_readers infrastructure dns daily 1 home
badge_readers bms badge daily 4 home
cameras recorders rtsp daily 4 home
cameras infrastructure ntp daily 1 home
cameras net:camera_vendor https firmware 1 any
bms hvac bacnet daily 6 all
hvac bms bacnet rare:0.3 1 all
hvac infrastructure ntp daily 1 home
printers infrastructure dns daily 1 all
printers files smb user:0.2 1 home
pump_servers emr hl7 daily 6 all life
central_stations emr hl7 daily 6 all
central_stations emr paging rare:0.15 1 all life
emr files backup weekly 2 all
emr emr sync daily 4 all
pump_servers files backup weekly 1 all
files net:dr_site backup monthend 2 any
recorders infrastructure ntp daily 1 home
nms * snmp daily 1 all
emr infrastructure dns daily 4 all
pacs infrastructure dns daily 4 all
""",
    "plant": """
scada plcs s7 daily 5 all
scada plcs modbus daily 3 all
hmis plcs s7 daily 5 home
hmis scada opcua daily 3 all
plcs drives enip daily 5 home
plcs plcs s7 daily 2 any
plcs infrastructure ntp daily 1 home
robots plcs enip daily 4 home
robots net:robot_vendor https rare:0.02 1 any
safety_plcs safety_servers trip daily 4 home life
safety_plcs safety_plcs trip rare:0.1 1 any life
safety_servers safety_plcs trip rare:0.25 1 all life
safety_servers scada opcua daily 3 all life
sensors scada mqtt daily 6 home
sensors net:sensor_vendor https firmware 1 any
sensors infrastructure dns daily 2 all
engineering plcs s7 user:0.06 2 any
engineering drives enip user:0.04 1 any
engineering historian dcom user:0.3 2 any
engineering safety_plcs trip rare:0.01 1 any
scada historian dcom daily 4 all
historian historian sync daily 3 all
historian mes https daily 4 all
mes scada opcua weekday 4 all
mes net:erp https monthend 3 any
mes net:dr_site sync failover 2 any
workstations mes https weekday 4 all
workstations net:web https weekday 5 any
workstations infrastructure dns daily 5 all
workstations infrastructure ldaps weekday 2 any
cameras recorders rtsp daily 4 home
cameras infrastructure ntp daily 1 home
hmis infrastructure ntp daily 1 home
drives infrastructure ntp daily 1 home
plcs engineering calib rare:0.005 1 any
historian net:dr_site backup weekly 2 any
nms * snmp daily 1 all
""",
    "campus": """
phones voice_servers sip daily 5 all
phones infrastructure dns daily 2 all
phones infrastructure ntp daily 1 home
phones net:voice_vendor https firmware 1 any
phones phones sip user:0.2 1 any
cameras recorders rtsp daily 4 home
cameras infrastructure ntp daily 1 home
badge_readers access_servers badge daily 4 home
badge_readers infrastructure dns daily 1 all
printers infrastructure dns daily 1 all
printers files smb user:0.2 1 home
workstations files smb weekday 5 all
workstations printers print user:0.3 1 any
workstations infrastructure dns daily 6 all
workstations infrastructure ldaps weekday 3 any
workstations net:web https weekday 6 any
displays net:signage https daily 4 any
displays infrastructure dns daily 2 all
thermostats bms bacnet daily 3 home
bms thermostats bacnet daily 3 all
bms lifts modbus daily 3 all
fire_panels fire_servers alarm daily 3 all life
fire_panels fire_panels alarm rare:0.06 1 any life
fire_servers lifts modbus rare:0.04 1 all life
fire_servers net:fire_brigade https rare:0.06 1 any life
fire_servers voice_servers paging rare:0.08 1 all life
lifts net:lift_vendor mqtt daily 2 any
lifts bms calib rare:0.03 1 home
access_servers infrastructure ldaps daily 3 any
access_servers files backup weekly 1 home
voice_servers voice_servers sync daily 3 all
voice_servers net:carrier sip daily 6 any
voice_servers net:dr_site sync failover 2 any
files net:dr_site backup monthend 2 any
recorders infrastructure ntp daily 1 home
nms * snmp daily 1 all
""",
    "substation": """
scada gateways iec104 daily 6 all
gateways relays mms daily 5 all
gateways bay_controllers mms daily 5 all
bay_controllers relays mms daily 3 home
relays infrastructure ntp daily 1 home
bay_controllers infrastructure ntp daily 1 home
meters meter_servers mqtt daily 4 home
meters infrastructure dns daily 1 all
meters net:meter_vendor https firmware 1 any
protection trip_servers trip daily 4 all life
protection protection trip rare:0.15 1 any life
trip_servers scada alarm rare:0.15 1 all life
engineering relays ptp-tool user:0.06 1 any
engineering bay_controllers mms user:0.1 1 any
engineering protection ptp-tool rare:0.01 1 any
engineering infrastructure dns daily 3 all
scada scada sync daily 4 all
scada net:control_center iec104 daily 5 any
scada net:backup_center iec104 failover 3 any
meter_servers net:billing https monthend 3 any
workstations scada https weekday 3 all
workstations infrastructure dns daily 4 all
workstations net:web https weekday 4 any
cameras recorders rtsp daily 4 home
cameras infrastructure ntp daily 1 home
recorders infrastructure ntp daily 1 home
gateways net:relay_vendor https rare:0.02 1 any
nms * snmp daily 1 all
""",
}
# Addresses outside: how many, and how many of them are in use on one day (rotation of clouds).
OUTSIDE = {"web": (60, 40), "camera_vendor": (12, 3), "signage": (8, 2), "sensor_vendor": (8, 2), "pump_vendor": (3, 2)}


@dataclass(frozen=True)
class DeviceType:
    """One kind of device of a site."""

    name: str
    zone: str
    criticality: str
    count: int
    dhcp: bool


@dataclass(frozen=True)
class Talk:
    """One legitimate use: who opens to whom, for what, how often."""

    client: str
    server: str
    service: str
    cadence: str
    share: float
    flows: float
    reach: str
    life: bool

    @property
    def name(self) -> str:
        """Return a name for people."""
        return f"{self.client} > {self.server} {self.service}"


def types_of(kind: str, scale: float) -> list[DeviceType]:
    """Return the types of a kind of site; servers do not scale below what they are."""
    made = []
    for line in TYPES[kind].split("\n"):
        if line:
            name, zone, criticality, count, addressing = line.split()
            number = int(count) if zone == "data_center" else max(3, round(int(count) * scale))
            made.append(DeviceType(name, zone, criticality, number, addressing == "dhcp"))
    return made


def talks_of(kind: str, types: list[DeviceType]) -> list[Talk]:
    """Return the legitimate uses of a kind of site."""
    known = {each.name for each in types}
    made = []
    for line in TALKS[kind].split("\n"):
        if not line:
            continue
        client, server, service, cadence, flows, reach, *remarks = line.split()
        word, _colon, share = cadence.partition(":")
        servers = sorted(known - {client}) if server == "*" else [server]
        made += [
            Talk(client, each, service, word, float(share or 0), float(flows), reach, "life" in remarks)
            for each in servers
            if each in known or each.startswith("net:")
        ]
    return made
