"""What a billion events cost on Cloud Run, from what one event was measured to take."""

from __future__ import annotations

VCPU_SECOND = 0.000024
GIB_SECOND = 0.0000025
MILLION_REQUESTS = 0.40
"""US dollars, request-based billing, us-central1 (tier 1), as published in November 2026, without the free tier:
https://cloud.google.com/run/pricing"""

INSTANCE_GIB = 0.5
"""What `deploy.sh` gives an instance, beside one vCPU."""

EVENTS_A_FILE = 200_000
"""How many events a file brings with one request to the function; with smaller files the requests begin to count."""

LIMIT = 30_000
"""Events a second that Mixpanel takes for a project: https://developer.mixpanel.com/reference/import-events#rate-limits"""

_BILLION = 1_000_000_000


def billion(seconds_an_event: float) -> float:
    """Dollars for a billion events, when an instance is occupied so long with each.

    An instance is paid for while it has a request open, whether its processor is busy or waits.
    """
    seconds = seconds_an_event * _BILLION
    requests = _BILLION / EVENTS_A_FILE / 1e6 * MILLION_REQUESTS
    return seconds * (VCPU_SECOND + INSTANCE_GIB * GIB_SECOND) + requests


def billion_at_limit(seconds_an_event: float) -> float:
    """The same, all going to one project, whose limit one instance has to wait for."""
    return billion(max(seconds_an_event, 1 / LIMIT))
