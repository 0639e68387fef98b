"""The gate that can say no: is a candidate good enough to replace the bundle in use?

`judge.judge(evidence, policy)` gives a `verdict.Verdict`; `page.render` draws it for people. Everything is decided by
pairs: the same held-out rows, the same draws, candidate against current. The parts, each small:

    verdict   what the gate says, as values          measured   rows as a comparison needs them
    stats     the statistics                         compare    better, non-inferior, worse, inconclusive
    flips     turns that were right and are not      slices     who is affected
    guards    calibration, scope, noise, cost, tests, contradicting labels
"""
