"""Small films made from a seed, with everything known about them: for the demo, the tests and the benchmarks."""

from mediafm_cli.synthetic.catalogue import SyntheticTitle, write_catalogue
from mediafm_cli.synthetic.script import HARD, PLAIN, Difficulty, Disturbance, Transition

__all__ = ["HARD", "PLAIN", "Difficulty", "Disturbance", "SyntheticTitle", "Transition", "write_catalogue"]
