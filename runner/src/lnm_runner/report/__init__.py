"""The report of a runbook, for who decides: the same facts as one HTML file and as Markdown.

`facts` makes tables and a verdict of what the evidence says (its predicate) and of the samples that were taken meanwhile;
`html` and `markdown` write them down, `charts` and `timeline` draw. All of it is pure: no clock, no file, no server; the same
input gives the same bytes. What is not known is said to be unknown, and never counts as good.
"""
