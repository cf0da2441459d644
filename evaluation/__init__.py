"""What the pipeline achieves, measured against a truth that the pipeline itself never reads."""
