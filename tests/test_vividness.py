import torch

from colorize.prior import rebalancing_weights
from colorize.vividness import vivid_offset


def test_offset_gives_what_training_with_weights_would_have_learned() -> None:
    prior = (torch.rand(12) ** 3).softmax(dim=0)
    truth = torch.rand(12).softmax(dim=0)  # how often each bin is the colour of some kind of pixel
    weights = rebalancing_weights(prior, 0.5)
    learned = torch.zeros(12, requires_grad=True)  # logits, fitted under the rebalanced loss
    optimizer = torch.optim.LBFGS([learned], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = -(truth * weights * learned.log_softmax(dim=0)).sum()
        value.backward()
        return value

    optimizer.step(loss)
    natural = truth.log()
    vivid = (natural + vivid_offset(prior, 1.0)).softmax(dim=0)
    torch.testing.assert_close(vivid, learned.detach().softmax(dim=0), atol=1e-3, rtol=0)
    calm = (learned.detach() + vivid_offset(prior, 0.0, trained_lambda=0.5)).softmax(dim=0)
    torch.testing.assert_close(calm, truth, atol=1e-3, rtol=0)


def test_a_network_is_decoded_as_trained_at_its_own_vividness() -> None:
    prior = torch.rand(12).softmax(dim=0)
    torch.testing.assert_close(vivid_offset(prior, 0.0, trained_lambda=1.0), torch.zeros(12))
    torch.testing.assert_close(vivid_offset(prior, 1.0, trained_lambda=0.5), torch.zeros(12))
