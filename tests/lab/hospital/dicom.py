# Copyright: (c) 2026, Segwright contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""DICOM: the archive, the scanner's side of storage commitment, and the modalities that verify and store."""

from __future__ import annotations

import socket
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    SecondaryCaptureImageStorage,
    StorageCommitmentPushModel,
    Verification,
)

_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"


def _entity(title: str) -> AE:
    entity = AE(ae_title=title)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 10
    return entity


def serve_archive(address: tuple[str, int]) -> Any:
    """The PACS: answers C-ECHO, takes C-STORE."""
    entity = _entity("PACS1")
    entity.add_supported_context(Verification)
    entity.add_supported_context(SecondaryCaptureImageStorage)
    handlers: list[Any] = [(evt.EVT_C_STORE, lambda event: 0x0000)]
    return entity.start_server(address, block=False, evt_handlers=handlers)


def serve_modality(address: tuple[str, int]) -> Any:
    """The CT's listener: answers C-ECHO and takes the archive's storage commitment report (N-EVENT-REPORT)."""
    entity = _entity("CT1")
    entity.add_supported_context(Verification)
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, lambda event: (0x0000, None))]
    return entity.start_server(address, block=False, evt_handlers=handlers)


def _image(number: int) -> Dataset:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.SOPClassUID = SecondaryCaptureImageStorage
    data.SOPInstanceUID = generate_uid()
    data.PatientName, data.PatientID, data.Modality = "TEST^PATIENT", "LAB-0001", "OT"
    data.StudyInstanceUID, data.SeriesInstanceUID, data.InstanceNumber = generate_uid(), generate_uid(), number
    data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
    data.Rows = data.Columns = 32
    data.BitsAllocated = data.BitsStored = 8
    data.HighBit = 7
    data.PixelData = bytes(index * number % 256 for index in range(32 * 32))
    return data


def client_port(association: Any) -> int:
    """Local port of an association, for the generator's record."""
    sock: socket.socket = association.dul.socket.socket
    port: int = sock.getsockname()[1]
    return port


def store(server: tuple[str, int], title: str, images: int) -> int:
    """One association: verify, then store ``images`` tiny images. Returns its client port; raises ValueError."""
    entity = _entity(title)
    entity.add_requested_context(Verification)
    entity.add_requested_context(SecondaryCaptureImageStorage, ExplicitVRLittleEndian)
    association = entity.associate(*server, ae_title="PACS1")
    if not association.is_established:
        raise ValueError("DICOM association refused")
    port = client_port(association)
    try:
        if association.send_c_echo().Status != 0x0000:
            raise ValueError("C-ECHO failed")
        for number in range(1, images + 1):
            if association.send_c_store(_image(number)).Status != 0x0000:
                raise ValueError("C-STORE failed")
    finally:
        association.release()
    return port


def report_commitment(server: tuple[str, int]) -> int:
    """The archive dials back to the modality and reports that it keeps an image. Returns its client port."""
    entity = _entity("PACS1")
    entity.add_requested_context(StorageCommitmentPushModel)
    roles: list[Any] = [build_role(StorageCommitmentPushModel, scp_role=True)]
    association = entity.associate(*server, ae_title="CT1", ext_neg=roles)
    if not association.is_established:
        raise ValueError("DICOM association refused")
    port = client_port(association)
    try:
        report, reference = Dataset(), Dataset()
        reference.ReferencedSOPClassUID = SecondaryCaptureImageStorage
        reference.ReferencedSOPInstanceUID = generate_uid()
        report.TransactionUID = generate_uid()
        report.ReferencedSOPSequence = [reference]
        status, _ = association.send_n_event_report(report, 1, StorageCommitmentPushModel, _COMMITMENT_INSTANCE)
        if status.get("Status") != 0x0000:
            raise ValueError("N-EVENT-REPORT failed")
    finally:
        association.release()
    return port
