"""What fits: the context that a model is run with."""

# 24 GB holds qwen3-vl:32b (19.6 GiB with its vision tower) and some 9k tokens of f16 cache.
DEFAULT_NUM_CTX = 8192


def plan_context(wanted: int, trained: int) -> int:
    """The one `num_ctx` for the life of the server, in tokens.

    Another value in a later request would reload the whole model.

    Args:
        wanted: the user's own choice; 0 for none.
        trained: the longest context that the model was trained for; 0 where unknown.
    """
    context = wanted or DEFAULT_NUM_CTX
    return min(context, trained) if trained else context
