"""The scheduler between two metrics pages: lateness.py BEFORE AFTER."""

import re
import sys


def read(path):
    with open(path, encoding="utf-8") as page:
        return {k: float(v) for k, v in (line.rsplit(" ", 1) for line in page if not line.startswith("#") and " " in line)}


before, after = read(sys.argv[1]), read(sys.argv[2])
grown = {series: value - before.get(series, 0.0) for series, value in after.items()}
buckets = []
for series, count in grown.items():
    found = re.fullmatch(r'portalwatch_scheduler_lateness_seconds_bucket\{le="([^"]+)"\}', series)
    if found:
        buckets.append((float(found[1].replace("+Inf", "inf")), count))
buckets.sort()
if not buckets or buckets[-1][1] <= 0:
    sys.exit("no lateness was observed")
p99 = next(bound for bound, count in buckets if count >= 0.99 * buckets[-1][1])
print(f"lateness      p99 at most {p99 * 1000:g} ms (the bucket's upper bound; {buckets[-1][1]:.0f} runs)")
for outcome in ("started", "skipped", "missed"):
    count = sum(v for k, v in grown.items() if k.startswith("portalwatch_scheduler_runs_total{") and f'outcome="{outcome}"' in k)
    print(f"{outcome:13} {count:.0f}")
