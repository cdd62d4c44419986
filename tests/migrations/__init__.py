"""Tests of the migrations, each by the same harness, against a real MongoDB."""
