"""The modulo-addition experiments: targets of rising frequency, learned or not."""
