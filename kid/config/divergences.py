"""The names of the divergences; kid.losses.divergence and its backends compute them."""

# Name -> the key of `RunConfig` with its mixture weight; None: it has no mixture.
DIVERGENCES: dict[str, str | None] = {
    "fkl": None,
    "rkl": None,
    "jsd": "jsd_beta",
    "tvd": None,
    "skew-fkl": "skew_alpha",
    "skew-rkl": "skew_alpha",
}
