"""The two ways through the house: plan = look, decide; apply = look, decide, act, look again."""
