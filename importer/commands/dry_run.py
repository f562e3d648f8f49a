"""A pipeline that sends nothing: what Mixpanel would take, by its published rules, counts as imported."""

from __future__ import annotations

import time

from importer.core.pipeline import Delivery, Pipeline, PlacedReject
from importer.mixpanel.batch import Batch, Place
from importer.mixpanel.judge import examine
from importer.mixpanel.outcome import Outcome, RejectedEvent


class DryRun(Pipeline):
    """Reads, maps, checks and counts as the other does, and judges as Mixpanel says that it does."""

    def deliver(self, batch: Batch[Place], _: float, __: str) -> Delivery[Place]:
        """Judges a batch."""
        events = batch.events
        rejected = [
            RejectedEvent(one.index, one.problem.field, one.problem.message)
            for one in examine(b"\n".join(events), events, time.time()).rejected
        ]
        placed = []
        for one in rejected:
            place, nth = batch.place(one.index)
            placed.append(PlacedReject(place, events[one.index - nth : one.index], events[one.index], one))
        count, batch.events = len(events), []
        return Delivery(Outcome(imported=count - len(rejected), rejected=rejected), placed)
