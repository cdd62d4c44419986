"""Tests that hurt the real runner on a real mongod: kills, cuts, changes of the primary, a full disk, runners that meet."""
