"""The paper's Gaussian mixture: simulation, exact law and bounds side by side."""
