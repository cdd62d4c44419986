"""`nox -s mutation`: would the tests of the verifier notice if it were a little wrong? mutmut breaks it, one mutant at a time.

`subjects` says what is broken and which tests judge it, `work` lays out the folder that mutmut works in, `results` reads what it found,
`explained` compares that with docs/mutation.md. mutmut breaks functions; constants and tables at the top of a module it leaves alone.
"""
