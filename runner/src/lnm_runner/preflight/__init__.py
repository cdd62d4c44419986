"""What a server and a user must be like before anything is changed: `checks` is the table, `look` what the rows look at."""
