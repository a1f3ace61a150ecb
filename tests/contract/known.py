"""The defects that the sizes of `tests.contract.sizes` show and that are not fixed yet.

`KNOWN[family]` maps (size, check) to the cause. The contract test fails for a defect
that is not here, and for one that is here and gone, so that the table only shrinks.
"""

KNOWN: dict[str, dict[tuple[str, str], str]] = {}
