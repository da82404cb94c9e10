"""Tests that ``make test`` leaves to ``make test-all``: long ones whose subject quicker tests check as well.

A line is a file, or a test in it; with parameters, these alone. Collecting all tests finds lines without a test.
"""

from collections.abc import Iterable

THOROUGH = (
    # Real jobs of several ranks: other models, other ends and other causes than those that always run.
    "distributed/test_bad_input.py::test_a_full_disk_ends_every_rank",
    "distributed/test_bad_input.py::test_several_ranks_without_horovod_are_an_error_on_every_rank[0]",
    "distributed/test_bad_input.py::test_a_launcher_with_another_number_of_ranks_is_an_error_on_every_rank[1]",
    "distributed/test_changed_files.py::test_other_classes_are_refused_on_other_ranks",
    "distributed/test_elastic.py::test_one_of_three_fails_and_one_is_killed",
    "distributed/test_failing_ranks.py::test_a_job_that_its_user_ends_blames_no_rank",
    "distributed/test_failing_ranks.py::test_a_rank_of_a_script_that_ends_early_is_named",
    "distributed/test_failing_ranks.py::test_a_rank_that_cannot_report_is_named[stop-0-no heartbeat for -9.0]",
    "distributed/test_fine_tuning.py",
    "distributed/test_groups_of_ranks.py",
    "distributed/test_horovod_names.py::test_every_row_is_run_and_every_public_name_of_horovod_has_a_row",
    "distributed/test_hosts.py::test_a_cut_link_ends_both_sides_in_time_with_the_cause",
    "distributed/test_hosts.py::test_a_run_that_was_cut_off_resumes_to_the_same_weights",
    "distributed/test_keras_docs.py",
    "distributed/test_keras_examples.py",
    "distributed/test_language_modeling.py",
    "distributed/test_np_invariance.py::test_float32_is_as_accurate_as_one_process[cnn-4]",
    "distributed/test_np_invariance.py::test_twenty_steps_are_those_of_one_process[cnn-4]",
    "distributed/test_np_invariance.py::test_twenty_steps_are_those_of_one_process[rnn-4]",
    "distributed/test_np_invariance.py::test_twenty_steps_are_those_of_one_process[transformer-4]",
    "distributed/test_record_files.py",
    "distributed/test_saved_optimizers.py::test_in_a_process_without_tfdl",
    "distributed/test_srun.py::test_a_rank_that_does_not_start_in_time_ends_the_job",
    "distributed/test_srun.py::test_a_signal_of_one_rank_stops_connected_ranks_before_the_first_step",
    "distributed/test_srun.py::test_a_signal_while_ranks_start_has_one_outcome[SIGTERM]",
    "distributed/test_srun.py::test_another_job_on_the_port_is_not_taken_for_rank_0",
    "distributed/test_srun.py::test_rank_0_s_node_must_be_reachable",
    "distributed/test_text_tasks.py::test_a_run_and_its_evaluation_on_two_ranks",
    "distributed/test_training.py::test_all_options_of_a_step_work_over_ranks",
    "distributed/test_training.py::test_xla_leaves_the_reduction_outside_on_several_ranks",
    "distributed/test_watchdog.py::test_data_that_end_early_on_one_rank_are_reported_immediately",
    "distributed/test_watchdog.py::test_data_that_stop_coming_in_a_plain_script",
    "distributed/test_watchdog.py::test_preparing_compiling_saving_and_declared_work_may_take_longer",
    "distributed/test_watchdog.py::test_the_stacks_of_ranks_with_different_collectives_are_printed",
    "horovod_launch/test_jobs.py::test_local",
    "horovod_launch/test_jobs.py::test_ssh_passes_a_signal_on_and_the_job_saves",
    "horovod_launch/test_scripts.py::test_a_host_that_cannot_be_reached_ends_with_one_line",
    "plugins/test_toy_parts.py::test_two_ranks_train_it_as_one",
    "export/test_plain_weights.py",
    # Whole runs whose parts are tested alone, and runs that are resumed at yet another step.
    "test_extending_docs.py",
    "training/test_accumulation.py::test_a_resumed_run_has_the_same_weights",
    "training/test_averaged_weights.py::test_a_resumed_run_has_the_same_weights",
    "training/test_carried_state.py::test_a_gathered_state_is_restored_exactly",
    "training/test_carried_state.py::test_pieces_and_xla_step_as_the_whole_batch[2-True]",
    "training/test_carried_state.py::test_pieces_and_xla_step_as_the_whole_batch[3-False]",
    "training/test_carried_state.py::test_pieces_and_xla_step_as_the_whole_batch[4-False]",
    "training/test_checkpoints.py::test_a_resumed_run_is_the_straight_one[15]",
    "training/test_checkpoints.py::test_how_often_may_change_on_a_resume",
    "training/test_compilation.py::test_compiled_steps_are_the_same_steps",
    "training/test_diverging_runs.py::test_a_validation_that_diverges_is_a_divergence",
    "training/test_diverging_runs.py::test_layers_in_loops[2-lstm]",
    "training/test_diverging_runs.py::test_layers_in_loops[2-rnn]",
    "training/test_early_stopping.py::test_more_patience_continues_an_ended_run",
    "training/test_fine_tuning.py::test_a_resumed_run_needs_no_other_run",
    "training/test_fine_tuning.py::test_a_run_is_repeated_by_its_configuration",
    "training/test_fine_tuning.py::test_the_data_of_an_imported_adapter",
    "training/test_language_runs.py::test_a_run_resumed_at_any_step_is_the_straight_run[rnn-22]",
    "training/test_language_runs.py::test_a_run_resumed_at_any_step_is_the_straight_run[transformer-27]",
    "training/test_language_runs.py::test_a_run_resumed_at_any_step_is_the_straight_run[transformer-22]",
    "training/test_language_runs.py::test_it_learns[transformer]",
    "training/test_language_runs.py::test_without_the_carried_state_it_is_another_run",
    "training/test_optimization.py::test_a_stopped_run_goes_on_exactly_with_all_of_it",
    "training/test_own_keras_model.py::test_killed_and_resumed_it_has_the_same_bits",
    "training/test_own_keras_model.py::test_layers_that_ranks_adapted_to_other_data_are_refused",
    "training/test_precision.py::test_a_resumed_run_has_the_weights_of_an_uninterrupted_run[float64]",
    "training/test_precision.py::test_a_resumed_run_has_the_weights_of_an_uninterrupted_run[mixed_bfloat16]",
    "training/test_precision.py::test_a_run_in_mixed_precision_is_exported_in_float32[float64]",
    "training/test_precision.py::test_a_run_in_mixed_precision_is_exported_in_float32[mixed_float16]",
    "training/test_record_runs.py::test_memory_does_not_grow_with_the_data",
    "training/test_stopping.py::test_a_stopped_command_is_resumed",
    "training/test_text_runs.py::test_a_few_translations_are_shown",
    "training/test_text_runs.py::test_a_run_that_stops_within_an_epoch_continues_to_the_same_weights",
    "training/test_train.py::test_a_run_of_steps_continues_within_an_epoch[17]",
    "training/test_train.py::test_a_run_that_is_resumed_several_times",
    "training/test_train.py::test_another_seed_is_another_run",
    "training/test_train.py::test_its_own_configuration_repeats_the_run",
    "training/test_train.py::test_reading_from_disk_does_not_matter",
    "training/test_train.py::test_resuming_without_the_links_keeps_every_checkpoint",
    "training/test_train.py::test_the_time_limit_of_a_graph_call_changes_no_weight",
    "training/test_validation_steps.py::test_a_stopped_run_resumes_to_the_same_validations_and_weights[20]",
    "training/test_validation_steps.py::test_a_stopped_run_resumes_to_the_same_validations_and_weights[7]",
    "training/test_validation_steps.py::test_a_stopped_run_resumes_to_the_same_validations_and_weights[12]",
    "training/test_validation_steps.py::test_the_rates_of_a_run",
    "models/test_transformer_encoder_decoder.py::test_it_learns_to_reverse_sequences",
    # Exports, imports and served models: other families and number formats, and the order of versions.
    "data/tokenizers/test_saved_model.py",
    "export/test_families.py",
    "export/test_keras_frozen.py",
    "export/test_litert_models.py",
    "export/test_litert_precisions.py",
    "export/test_lower_precisions.py",
    "export/test_places.py::test_language[saved_model]",
    "export/test_places.py::test_images[litert-int8]",
    "export/test_saved_model.py::test_versions_count_up",
    "export/test_saved_model.py::test_a_number_that_another_export_takes_meanwhile",
    "export/test_saved_model.py::test_each_output_is_compared[class_id]",
    "export/test_saved_model.py::test_each_output_is_compared[class_name]",
    "export/test_saved_model.py::test_each_output_is_compared[shape]",
    "inference/generation/test_beams.py::test_few_beams_find_likelier_texts_than_greedy[lstm]",
    "inference/generation/test_beams.py::test_few_beams_find_likelier_texts_than_greedy[rotary]",
    "inference/generation/test_generator.py::test_a_text_depends_on_its_prompt_and_seed_alone[rotary]",
    "inference/generation/test_generator.py::test_greedy_is_the_argmax_of_whole_passes[rotary]",
    "inference/generation/test_served_generation.py::test_greedy_texts_are_those_of_the_generator[rotary]",
    "evaluation/test_carried_state_evaluator.py::test_ranks_get_the_very_numbers_of_one_process[3]",
    "evaluation/test_carried_state_evaluator.py::test_ranks_get_the_very_numbers_of_one_process[4]",
    "evaluation/test_evaluate_with_beams.py::test_beams_write_other_translations",
    "interop/test_commands.py::test_a_name_in_the_cache_of_the_hub",
    "interop/test_commands.py::test_a_saved_model_of_token_numbers",
    "interop/test_export.py::test_a_text_classifier_that_tfdl_trained",
    "interop/test_export.py::test_an_image_classifier_that_tfdl_trained",
    "interop/test_using_imported_runs.py",
    "reporting/test_report_of_texts.py",
    # Commands in separate processes: another signal, another place.
    "cli/test_changed_files.py::test_more_files_than_the_run_began_with",
    "cli/test_names_in_bytes.py::test_a_data_set_of_such_names_trains",
    "cli/test_quiet.py::test_the_quick_start_skips_what_no_command_uses_and_it_can_be_imported_later",
    "cli/test_results.py::test_paths_of_exports_are_relative_where_the_command_runs",
    "cli/test_signals.py::test_a_preparation[SIGHUP]",
    "cli/test_signals.py::test_an_export[SIGHUP]",
    "cli/test_signals.py::test_under_nohup_sighup_changes_nothing",
    "data/tfds/test_catalog.py::test_two_processes_prepare_one_folder_at_once",
    "plugins/test_toy_parts.py::test_the_environment_and_entry_points_name_installed_modules",
    "tasks/test_memory_of_texts.py",
)


def is_thorough(test: str) -> bool:
    """Whether a line stands for a test.

    Args:
        test: its name, as pytest prints it, below the folder of the tests.
    """
    return any(belongs(test, line) for line in THOROUGH)


def belongs(test: str, line: str) -> bool:
    """Whether one line stands for a test."""
    return test == line or test.startswith((f"{line}::", f"{line}["))


def lines_without_a_test(tests: Iterable[str]) -> list[str]:
    """The lines that stand for none of these tests."""
    tests = list(tests)
    return [line for line in THOROUGH if not any(belongs(test, line) for test in tests)]
