"""Label-Agnostic Forgetting (LAF): reproduce, audit and use it.

The rooms of the package, in the order in which data flows through them (a room imports only from rooms above it):

``paths``            where files live, each place overridable by an environment variable
``progress``         one progress bar for everything that takes longer than a second
``seeds``            named random streams derived from one seed
``datasets``         images and labels, from whichever door has them, checked
``tasks``            forget requests: data, class and noisy-label removal as index sets
``config``           every setting of a run, validated, with the published presets
``images``           uint8 images on a device and the transforms that turn them into batches
``models``           CNN and ResNet-18: extractor -> representation -> classifier
``training``         the one supervised loop; ``beside`` runs two of them at once
``representations``  frozen passes: representations and logits, computed once
``vae``              densities over representations
``laf``              the method: L_UE, L_RA, adaptation, repair
``audit``            was it forgotten: accuracy, gaps, the published attack
``records``          one JSON per run
``methods``          the methods that LAF is compared with, LAF among them, behind one signature
``pipeline``         the stages of a run, each computed once and kept
``tables, figures``  everything that people see
``comparison``       one record per method, request and variant, equal tuning, the tables of both
``together``         many small models as one, for the measures over many models and for the stages of many runs
``audited``          the audit over training seeds
``experiments``      the grid of cells, on one machine or a cluster
``exhibits``         the paper's tables and figures from records
``costmodel``        what a method costs, and what larger settings would
``questions``        what readers asked, answered from records
``forgetting``       your own classifier: ``forget(model, forget=..., retain=...)``, guards, ledger, report, command line
``chapters``         what the chapter notebooks show
"""

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    """``laf_utils.forget``, imported when it is asked for: importing the package stays light."""
    if name == "forget":
        from .forgetting import forget

        return forget
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
