"""The list of what ``messenger doctor`` looks at: from what all else stands on to what people see of it."""

from . import (
    doctor_accounts,
    doctor_certificates,
    doctor_clock,
    doctor_disk,
    doctor_dns,
    doctor_files,
    doctor_portal,
    doctor_postfix,
    doctor_queues,
    doctor_sender,
    doctor_services,
    doctor_sockets,
    doctor_units,
)
from .doctor_finding import Check, Host, Level, at_gateway, at_messenger


def _by_tunnel(host: Host) -> bool:
    return host.tunnel


def _with_tunnel(host: Host) -> bool:
    return host.tunnel or host.role.gateway


CHECKS = (
    Check(doctor_disk.CHECK, doctor_disk.look),
    Check(doctor_clock.CHECK, doctor_clock.look),
    Check(doctor_files.FOLDERS, doctor_files.look_at_folders),
    Check(doctor_files.KEYS, doctor_files.look_at_keys),
    Check(doctor_certificates.CHECK, doctor_certificates.look),
    Check(doctor_certificates.ENDS, doctor_certificates.look_at_both_ends, _with_tunnel),
    Check(doctor_postfix.RUNS, doctor_postfix.look_whether_it_runs),
    Check(doctor_postfix.LINES, doctor_postfix.look_at_lines),
    Check(doctor_postfix.RECIPIENT, doctor_postfix.look_at_recipient, _by_tunnel),
    Check(doctor_postfix.WAY, doctor_postfix.look_at_way_out),
    Check(doctor_units.CHECK, doctor_units.look),
    Check(doctor_sockets.MILTER, doctor_sockets.look_at_milter, at_messenger),
    Check(doctor_sockets.GATEWAY, doctor_sockets.look_at_gateway, at_gateway),
    Check(doctor_services.POLICY, doctor_services.look_at_policy, at_gateway),
    Check(doctor_portal.READER, doctor_portal.look_at_reader, at_messenger),
    Check(doctor_portal.TLS, doctor_portal.look_at_tls, at_messenger),
    Check(doctor_dns.CHECK, doctor_dns.look, at_messenger, Level.WARN),
    Check(doctor_sender.CHECK, doctor_sender.look, at_messenger, Level.WARN),
    Check(doctor_accounts.DATABASE, doctor_accounts.look_at_database, at_messenger, Level.WARN),
    Check(doctor_accounts.QUOTA, doctor_accounts.look_at_quota, at_messenger, Level.WARN),
    Check(doctor_queues.NOTICES, doctor_queues.look_at_queue),
    Check(doctor_queues.PDFS, doctor_queues.look_at_pdfs, at_messenger),
    Check(doctor_queues.HELD, doctor_queues.look_at_held, at_messenger),
    Check(doctor_queues.RECEIPTS, doctor_queues.look_at_receipts, at_messenger),
)
