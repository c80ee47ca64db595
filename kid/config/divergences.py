"""The divergences by name; kid.losses.divergence and its backends compute them."""

# Name -> the key of `RunConfig` that weighs the mixture; None: nothing is mixed.
DIVERGENCES: dict[str, str | None] = {
    "fkl": None,
    "rkl": None,
    "jsd": "jsd_beta",
    "tvd": None,
    "skew-fkl": "skew_alpha",
    "skew-rkl": "skew_alpha",
}
