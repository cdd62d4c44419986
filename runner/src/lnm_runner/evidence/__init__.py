"""What a rehearsal has shown, as signed evidence: made (`statement`, `signing`), judged (`judging`), carried home (`receipt`).

The evidence is an in-toto Statement v1 about the kit `{concelier-lnm-VERSION, rootHash}` in a DSSE of the one form that the
statements of a kit have (docs/kit-format.md): `rehearsal-evidence.dsse.json`. `derivation` is what follows from the journal in
it, for both sides; `rules` says what a rehearsal must have shown before production may begin; `forecast` and `measuring` say what
it means for production. Only `keys` needs a library more than the runner has, and only when it signs.
"""
