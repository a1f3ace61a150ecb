"""Every family is compared with an oracle at two shapes or more.

ORACLES has the test of each family's oracle, and the first of the arguments that give
its shapes; a new family needs two lines of it. That the test is an oracle, and that one
of its shapes has more columns than units, is for the reader of the test to see.
"""

from __future__ import annotations

from importlib import import_module

import pytest

import ftml

ORACLES = """
ols: families.linear.test_ols n
    solution_equals_that_of_scikit_learn
ridge: families.linear.test_ridge n
    solution_equals_that_of_scikit_learn
kernel_ridge: families.linear.test_kernel_ridge n
    predictions_equal_those_of_scikit_learn
linear_svm: families.linear.test_linear_svm n
    optimum_equals_that_of_liblinear
logistic_regression: families.linear.test_logistic_regression n
    optimum_equals_that_of_scikit_learn
softmax_regression: families.linear.test_softmax_regression n
    optimum_equals_that_of_scikit_learn
one_vs_rest: families.linear.test_one_vs_rest n
    scores_equal_those_of_scikit_learn
one_vs_one: families.linear.test_one_vs_one n
    classes_equal_those_of_scikit_learn_where_one_wins_all_its_pairs
gradient_descent nesterov newton sgd sag saga: families.optimization.test_finite_sum n
    every_solver_ends_at_the_optimum_of_scikit_learn
decision_tree: families.ensemble.test_decision_tree load
    probabilities_are_bit_identical_to_those_of_scikit_learn
random_forest: families.ensemble.test_random_forest data
    probabilities_equal_those_of_scikit_learn
adaboost: families.ensemble.test_adaboost data
    weights_are_a_fixed_part_of_those_of_scikit_learn_in_every_round
kmeans: families.clustering.test_kmeans X
    labels_centres_and_inertia_are_those_of_scikit_learn
pca: families.decomposition.test_pca X
    variances_and_components_are_those_of_scikit_learn
ppca: families.decomposition.test_factors X
    ppca_covariance_is_that_of_the_rows_with_its_smallest_values_equal
factor_analysis: families.decomposition.test_factors X
    factor_analysis_reaches_the_likelihood_of_scikit_learn
nmf: families.decomposition.test_nmf n
    objective_is_within_a_percent_of_that_of_scikit_learn
gmm: families.density.test_gmm X
    lower_bound_of_every_iteration_is_that_of_scikit_learn
gmm_gradient: families.density.test_gmm_gradient n
    every_coordinate_of_the_gradient_by_central_differences
kde: families.density.test_kde rows
    log_density_is_that_of_scikit_learn
nce: families.density.test_nce n
    derivatives_by_central_differences
score_matching: families.density.test_score_matching n
    precision_of_a_gaussian_is_recovered
rbm: families.density.test_rbm d
    free_energy_is_that_of_scikit_learn
mlp: families.neural.test_networks data
    training_is_that_of_a_plain_loop_in_torch
one_hidden_layer: families.neural.test_networks data
    one_hidden_layer_by_hand_learns_what_autograd_makes_the_perceptron_learn
lenet inception locally_connected: families.neural.test_oracles shape
    image_network_is_trained_as_in_torch
maxout: families.neural.test_oracles n
    maxout_network_is_trained_as_in_torch
multi_task: families.neural.test_oracles n
    tasks_on_one_trunk_are_trained_as_in_torch
soft_weight_sharing: families.neural.test_oracles n
    weights_and_their_mixture_are_trained_as_in_torch
deep_linear: families.neural.test_deep_linear table
    end_of_training_is_least_squares
mixture_density: families.neural.test_mixture_density n
    gradient_by_hand_is_that_of_autograd_and_of_differences
linear_autoencoder tied_autoencoder: families.generative.test_oracles shape
    linear_autoencoder
autoencoder denoising_autoencoder: families.generative.test_oracles shape
    autoencoder_and_denoising_autoencoder
sparse_autoencoder: families.generative.test_oracles shape
    sparse_autoencoder
contractive_autoencoder: families.generative.test_oracles shape
    contractive_autoencoder
conv_autoencoder: families.generative.test_oracles size
    convolutional_autoencoder
vae: families.generative.test_oracles shape
    vae
deep_latent_gaussian: families.generative.test_latent n
    layers_of_a_deep_model_are_its_recursion
made: families.generative.test_made hidden
    probabilities_of_all_rows_sum_to_one
gan: families.generative.test_adversarial n
    the_gradient_penalty_is_half_the_squared_slope_at_the_data
conv_gan: families.generative.test_conv_gan shape
    the_discriminator_is_two_convolutions_that_halve_the_sides
rnn lstm gru bidirectional_lstm: families.sequence.test_recurrent lengths
    probabilities_are_those_of_torchs_layers
ctc: nn.test_ctc targets
    loss_and_slopes_are_those_of_torch
seq2seq seq2seq_attention transformer_seq2seq: nn.test_seq2seq d
    a_beam_as_wide_as_all_targets_is_exhaustive
ngram_lm: families.text.test_language_models texts
    n_grams_are_what_counting_says
log_bilinear_lm: families.text.test_language_models symbols
    log_bilinear_logits_are_its_formula
lstm_lm: families.text.test_language_models text
    lstm_gives_the_probabilities_of_torchs_layers
text_cnn: families.text.test_text_networks d
    text_cnn_is_a_loop_over_filters_and_words
dynamic_cnn: families.text.test_text_networks d
    dynamic_cnn_is_a_loop_over_rows_and_places
recursive_net: families.tree.test_recursive_net d
    nodes_of_one_height_at_once_are_recursion
glove: families.embedding.test_glove words
    steps_are_those_of_adagrad_on_the_formula
ppmi_svd: families.embedding.test_ppmi_svd words
    vectors_are_those_of_numpys_decomposition
skipgram: families.embedding.test_skipgram B
    gradients_are_those_of_autograd
erm: families.domain_generalization.test_erm d
    training_is_that_of_a_plain_loop_in_torch
idgm: families.domain_generalization.test_theory shape
    gradient_of_idgm_is_that_of_central_differences
mldg: families.domain_generalization.test_theory shape
    mldg_rewards_the_inner_product_unless_it_is_first_order
fish: families.domain_generalization.test_fish data
    fixed_order_with_adam_is_the_fish_of_domainbed
group_dro: families.domain_generalization.test_group_dro sizes
    gradient_is_the_weighted_sum_of_the_gradients_of_the_domains
irm: families.domain_generalization.test_irm sizes
    plain_square_and_its_gradient_are_those_of_the_double_backward
vrex: families.domain_generalization.test_vrex sizes
    objective_is_the_mean_of_the_losses_and_their_variance
coral: families.domain_generalization.test_coral h
    distance_is_the_mean_over_pairs_of_domains
fishr: families.domain_generalization.test_fishr sizes
    variances_are_those_of_each_rows_own_gradient
mixup: families.domain_generalization.test_mixup sizes
    loss_is_the_mean_over_the_domains_of_the_rows_mixed_one_by_one
"""
"Names of families, the module of the test, the argument; then the name of the test."

LINES = [line.strip() for line in ORACLES.strip().splitlines()]


def test_every_family_has_an_oracle() -> None:
    named = [name for line in LINES[::2] for name in line.split(":")[0].split()]
    assert sorted(named) == sorted(ftml.families())


@pytest.mark.parametrize(
    ("line", "name"), list(zip(LINES[::2], LINES[1::2], strict=True))
)
def test_oracle_has_two_shapes_at_least(line: str, name: str) -> None:
    module, argument = line.split(":")[1].split()
    test = getattr(import_module(f"tests.{module}"), f"test_{name}")
    shapes = [
        {str(value) for value in mark.args[1]}
        for mark in test.pytestmark
        if mark.name == "parametrize" and argument in _names(mark.args[0])
    ]
    assert [len(values) >= 2 for values in shapes] == [True]


def _names(arguments: str | tuple[str, ...]) -> list[str]:
    """Return the names of the arguments of a parametrization."""
    parts = arguments.split(",") if isinstance(arguments, str) else arguments
    return [each.strip() for each in parts]
