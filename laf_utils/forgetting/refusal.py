"""Refusals: what is not done, why, and what would change that."""

# What a caller may accept knowingly, by name.
RISKS = {
    "batch_statistics": "the forget images helped to make the model's batch statistics, and stay in them",
    "lost_weights": "the weights that the ledger's last request left are gone; that request is asked again in its place",
}


class Refused(ValueError):
    """A request that is not carried out.

    Args:
        reason: one word for machines: ``nothing_to_forget``, ``overlap``, ``copies``, ``no_linear_head``, ``batch_statistics``,
            ``unstable_model``, ``unstable_images``, ``bad_images``, ``bad_ids``, ``bad_weights``, ``bad_architecture``,
            ``bad_key``, ``too_few_images``, ``forgotten_before``, ``method``, ``changed_ledger``, ``budget``, ``certificate``,
            ``other_checkpoint``, ``changed_queue``.
        message: what is wrong and what would help, in one line.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
