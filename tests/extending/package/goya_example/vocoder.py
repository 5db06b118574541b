from inference.vocoders.griffin_lim import GriffinLim


class QuickGriffinLim(GriffinLim):
    """Fewer iterations: less clear, and several times as fast."""

    name = "quick_griffin_lim"
    iterations = 8
