"""Sleep: nights as files, the classic formulas, figures of merit, simulated nights to judge networks on."""
