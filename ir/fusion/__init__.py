"""Fusion: which nodes form one group, by scope, with a Decision for every merge and refusal."""
