"""The whole study on small images, with networks that it trains: an analogue."""
