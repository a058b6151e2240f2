"""The library of pgherd in PostgreSQL (`library.c`): where it lies, and what it makes known.

A pooler keeps a setting for its client if the server reports it whenever it changes: then a client
has what it has set, or asked for when it connected, on whichever server connection it gets.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pgherd.errors import InputError

PLACES = (Path("/var/lib/pgherd/programs"), Path(sys.prefix) / "programs")
"""Where `make setup` puts it, with and without root."""
SETTINGS = """
array_nulls backend_flush_after backslash_quote bytea_output check_function_bodies
client_connection_check_interval client_min_messages commit_siblings constraint_exclusion
cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost createrole_self_grant:16 cursor_tuple_fraction
debug_pretty_print debug_print_parse debug_print_plan debug_print_rewritten
default_statistics_target default_table_access_method default_tablespace default_text_search_config
default_toast_compression default_transaction_deferrable default_transaction_isolation
default_transaction_read_only effective_cache_size effective_io_concurrency enable_async_append
enable_bitmapscan enable_distinct_reordering:18 enable_gathermerge enable_group_by_reordering:17
enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan
enable_material enable_memoize enable_mergejoin enable_nestloop enable_parallel_append
enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate
enable_partitionwise_join enable_presorted_aggregate:16 enable_self_join_elimination:18
enable_seqscan enable_sort enable_tidscan escape_string_warning exit_on_error extra_float_digits
file_copy_method:18 from_collapse_limit geqo geqo_effort geqo_generations geqo_pool_size geqo_seed
geqo_selection_bias geqo_threshold gin_fuzzy_search_limit gin_pending_list_limit hash_mem_multiplier
icu_validation_level:16 idle_in_transaction_session_timeout IntervalStyle io_combine_limit:17 jit
jit_above_cost jit_expressions jit_inline_above_cost jit_optimize_above_cost jit_tuple_deforming
join_collapse_limit lc_monetary lc_numeric lc_time lock_timeout log_parameter_max_length_on_error
logical_decoding_work_mem maintenance_io_concurrency maintenance_work_mem
max_parallel_maintenance_workers max_parallel_workers max_parallel_workers_per_gather
min_parallel_index_scan_size min_parallel_table_scan_size parallel_leader_participation
parallel_setup_cost parallel_tuple_cost password_encryption plan_cache_mode quote_all_identifiers
random_page_cost recursive_worktable_factor:15 restrict_nonsystem_relation_kind row_security
scram_iterations:16 search_path seq_page_cost statement_timeout stats_fetch_consistency:15
synchronize_seqscans synchronous_commit tcp_keepalives_count tcp_keepalives_idle
tcp_keepalives_interval tcp_user_timeout timezone_abbreviations transaction_timeout:17
transform_null_equals vacuum_buffer_usage_limit:16 vacuum_cost_delay vacuum_cost_limit
vacuum_cost_page_dirty vacuum_cost_page_hit vacuum_cost_page_miss vacuum_failsafe_age
vacuum_freeze_min_age vacuum_freeze_table_age vacuum_multixact_failsafe_age
vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age vacuum_truncate:18
wal_sender_timeout wal_skip_threshold work_mem xmlbinary xmloption
"""
"""Those that a role may set, with the first version that has them where it is newer than 14.

Without those for PostgreSQL's own developers (`trace_sort`, `force_parallel_mode` and their like).
Without `temp_buffers`, which cannot be changed on a connection that has had temporary tables;
`temp_tablespaces`, which PgBouncer quotes as if it were one name; `idle_session_timeout`, which
would end a connection while another client gets it; and `local_preload_libraries`, which has an
effect at the beginning only. A pooler of its own accord
follows `client_encoding`, `DateStyle`, `TimeZone`, `standard_conforming_strings` and
`application_name`.
"""


def path(version: int, places: Sequence[Path] = PLACES) -> Path:
    """The library for that major version of PostgreSQL; InputError where it is missing."""
    for place in places:
        found = place / f"pgherd-{version}.so"
        if found.is_file():
            return found
    raise InputError(f"pgherd's library for PostgreSQL {version} is not built", "run `make setup`")


def settings(version: int) -> tuple[str, ...]:
    """The names of all settings that a server of that major version reports."""
    named = (word.partition(":") for word in SETTINGS.split())
    return tuple(name for name, _, since in named if version >= int(since or 0))
