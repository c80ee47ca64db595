"""Modules shared by the scripts of bench/: jobs, settings, claims, tables, figures."""
