"""The five studies and the plain classifier that they stand on, one folder each.

An experiment is a module with a configuration, three presets of it, checks and a run;
what is published stands as data in its ledger, which judges the run.
"""
