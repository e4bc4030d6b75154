"""The count of a request's input for clients that ask for nothing else."""

from functools import partial

from kiro2api.protocol.conversation import Conversation
from kiro2api.protocol.usage import estimate_conversation
from kiro2api.routes.life import RequestLife
from kiro2api.routes.service import Service


async def count_input(service: Service, life: RequestLife, conversation: Conversation) -> int:
    """Model tokens that ``conversation`` takes as input: the estimate, corrected by what the upstream has counted.

    Raises:
        UnknownModelError: There is no model of the name that the client gives.
    """
    model = service.catalog.resolve(conversation.model, listed=service.broker.list_models())
    estimate = await service.intake.compute(life, partial(estimate_conversation, conversation))
    return service.calibration.find_correction(model.upstream_id).apply(estimate)
