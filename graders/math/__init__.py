"""`math`: whether two mathematical expressions are the same, by math-verify in processes of its own."""
