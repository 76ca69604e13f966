"""What the doctor found, as plain text: first what is to be mended, then everything in order."""

from collections.abc import Callable, Sequence
from itertools import groupby

from golub.doctor.finding import GROUPS, N_, TITLES, Finding, Verdict, Words, worst_first

SIGNS = {Verdict.OK: "✓", Verdict.WARNING: "!", Verdict.WRONG: "✗", Verdict.UNKNOWN: "?"}

Paint = Callable[[str, Verdict], str]


def tell(findings: Sequence[Finding], words: Words, paint: Paint = lambda text, _: text) -> str:
    """`paint` colours a finding's first line, where there are colours."""
    lines: list[str] = []
    to_mend = worst_first(findings)
    if to_mend:
        lines += [words(N_("Mend this first:")), "", *_whole(to_mend[0], words, paint), ""]
    if len(to_mend) > 1:
        lines += [words(N_("Then:")), ""]
        for finding in to_mend[1:]:
            lines += [*_whole(finding, words, paint), ""]
    for group, members in groupby(findings, key=lambda finding: finding.check.group):
        lines.append(words(GROUPS[group]))
        for what, alike in groupby(members, key=lambda finding: (finding.verdict, finding.write(words).what)):
            lines.append(_short(what[1], list(alike), words, paint))
        lines.append("")
    counted = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    summary = words(
        N_("Wrong: {wrong}. Warnings: {warnings}. Well: {ok}. Not looked at: {unknown}."),
        wrong=counted[Verdict.WRONG],
        warnings=counted[Verdict.WARNING],
        ok=counted[Verdict.OK],
        unknown=counted[Verdict.UNKNOWN],
    )
    return "\n".join([*lines, summary]) + "\n"


def _whole(finding: Finding, words: Words, paint: Paint) -> list[str]:
    written = finding.write(words)
    lines = [paint(f"{SIGNS[finding.verdict]} {written.what}", finding.verdict)]
    lines += [f"  {written.cost}", f"  → {written.fix}"]
    for one in finding.lines:
        lines += [f"    {one.where}:", *(f"      {line}" for line in one.text.splitlines())]
    if finding.page:
        lines.append(f"    {finding.page}")
    return lines


def _short(what: str, alike: Sequence[Finding], words: Words, paint: Paint) -> str:
    """What waits for the same thing stands in one line."""
    shops = [f" ({finding.account})" if finding.account else "" for finding in alike]
    titles = [words(TITLES[finding.check]) + shop for finding, shop in zip(alike, shops, strict=True)]
    verdict = alike[0].verdict
    return paint(f"  {SIGNS[verdict]} {'; '.join(titles)}: {what}", verdict)
