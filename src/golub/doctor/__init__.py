"""The doctor: the guide's troubleshooting, made executable. `/admin/doctor` and `golub doctor` show what it finds.

`finding` has the checks in their order and what is said, `examination` goes through them: `ground` (Golub itself and
the machine), `stored` (database and spool), `way` (from Avito to us), `shops` (each account). What may be wrong, with
its fix, is written down in the three modules of faults.
"""

from itertools import chain

from golub.doctor import ground_faults, shop_faults, way_faults
from golub.doctor.beside import as_served, examine_beside, note_where, say_beside
from golub.doctor.bundle import make_bundle
from golub.doctor.examination import Doctor, Examination, Inside
from golub.doctor.finding import GROUPS, TITLES, Check, Fault, Finding, Group, Verdict, worst_first
from golub.doctor.machine import Machine
from golub.doctor.reach import Reach
from golub.doctor.telling import SIGNS, tell

__all__ = [
    "FAULTS",
    "GROUPS",
    "SIGNS",
    "TITLES",
    "Check",
    "Doctor",
    "Examination",
    "Fault",
    "Finding",
    "Group",
    "Inside",
    "Machine",
    "Reach",
    "Verdict",
    "as_served",
    "examine_beside",
    "make_bundle",
    "note_where",
    "say_beside",
    "tell",
    "worst_first",
]

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in chain.from_iterable(vars(module).values() for module in (ground_faults, way_faults, shop_faults))
    if isinstance(fault, Fault)
}
