"""`instructions`: constraints on a text that a program can verify, those of IFEval and IFBench, by their names."""
