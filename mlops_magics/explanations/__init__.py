"""Why a model answers as it does: importance, dependence, contributions; pure, knows no store."""
