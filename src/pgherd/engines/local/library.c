/*
 * The part of pgherd that runs in PostgreSQL: what a server has to know of the pooler before it.
 *
 * A pooler can keep a setting for its client if PostgreSQL reports it whenever it changes, and
 * PostgreSQL itself reports a dozen. With this library it also reports what `pgherd.reported` names.
 *
 * Where a client has a server process for one transaction (`pgherd.pooling = transaction`, which the
 * pooler says first of all), nothing of it stays there: what would have to is refused with an error
 * that says so, and all else ends with the transaction.
 *
 * Why: docs/decisions/0011-a-library-in-the-server.md. Built by scripts/build-library.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "commands/prepare.h"
#include "commands/sequence.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/varlena.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

enum
{
	UNSAID,
	SESSION,
	TRANSACTION,
};

static const struct config_enum_entry POOLINGS[] = {
	{"unsaid", UNSAID, false},
	{"session", SESSION, false},
	{"transaction", TRANSACTION, false},
	{NULL, 0, false},
};

static char *reported = NULL;
static int	setting = UNSAID;

/* What was said once holds as long as the server process lives. */
static int	pooling = UNSAID;

/* What this transaction has done: set anything; prepared these statements, as SQL. */
static bool has_set = false;
static List *prepared = NIL;

static ProcessUtility_hook_type next_utility = NULL;
static object_access_hook_type next_access = NULL;

/* --- Settings -------------------------------------------------------------------------------- */

static struct config_generic **
all_settings(int *count)
{
#if PG_VERSION_NUM >= 160000
	return get_guc_variables(count);
#else
	*count = GetNumConfigOptions();
	return get_guc_variables();
#endif
}

static void
report_settings(void)
{
	List	   *names;
	ListCell   *cell;
	int			count;
	struct config_generic **settings = all_settings(&count);

	if (!SplitIdentifierString(pstrdup(reported), ',', &names))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"pgherd.reported\" is no list of names")));
	foreach(cell, names)
	{
		for (int i = 0; i < count; i++)
			if (pg_strcasecmp(settings[i]->name, lfirst(cell)) == 0)
				settings[i]->flags |= GUC_REPORT;
	}
}

static bool
check_pooling(int *value, void **extra, GucSource source)
{
	if (pooling == UNSAID || *value == pooling)
		return true;
	GUC_check_errmsg("the pooler has said already what a client has here");
	return false;
}

static void
assign_pooling(int value, void *extra)
{
	if (value != UNSAID)
		pooling = value;
}

/* Whether its new value outlasts the transaction and nobody follows it. */
static bool
is_left(struct config_generic *conf)
{
	if (conf->source != PGC_S_SESSION || conf->flags & GUC_REPORT)
		return false;
	if (conf->stack && conf->stack->state == GUC_LOCAL)
		return false;
	return !(conf->flags & GUC_NO_RESET_ALL) ||
		strcmp(conf->name, "role") == 0 ||
		strcmp(conf->name, "session_authorization") == 0;
}

static void
refuse_left_settings(void)
{
	int			count;
	struct config_generic **settings = all_settings(&count);

	for (int i = 0; i < count; i++)
		if (is_left(settings[i]))
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("\"%s\" cannot outlast a transaction here", settings[i]->name),
					 errhint("Use SET LOCAL, or connect to the name without \"-transaction\".")));
}

/* --- Statements ------------------------------------------------------------------------------ */

static void
refuse(const char *what, const char *instead)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s would not outlast a transaction here", what),
			 errhint("%s, or connect to the name without \"-transaction\".", instead)));
}

/* Refuse what cannot work, before it is done. */
static void
refuse_at_once(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_ListenStmt:
			refuse("LISTEN", "Ask in intervals");
			break;
		case T_PrepareStmt:
			if (!IsTransactionBlock())
				refuse("A statement that is prepared as SQL", "Use those of your driver");
			break;
		case T_DeclareCursorStmt:
			if (castNode(DeclareCursorStmt, statement)->options & CURSOR_OPT_HOLD)
				refuse("A cursor WITH HOLD", "Fetch from one without it, in one transaction");
			break;
		default:
			break;
	}
}

/* A driver's statement, which has another name behind the pooler, and which the pooler frees. */
static bool
frees_a_drivers(Node *statement)
{
	char	   *name = IsA(statement, DeallocateStmt) ? castNode(DeallocateStmt, statement)->name : NULL;
	PreparedStatement *found = name ? FetchPreparedStatement(name, false) : NULL;

	return name && !(found && found->from_sql);
}

/* Whether temporary objects that it has made are meant to end with it. */
static bool
makes_for_itself(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreateStmt:
			return castNode(CreateStmt, statement)->oncommit == ONCOMMIT_DROP;
		case T_CreateTableAsStmt:
			return castNode(CreateTableAsStmt, statement)->into->onCommit == ONCOMMIT_DROP;
		case T_CallStmt:
		case T_DoStmt:
		case T_ExecuteStmt:
		case T_RefreshMatViewStmt:	/* CONCURRENTLY compares by a temporary table */
			return true;
		default:
			return false;
	}
}

static void
remember_prepared(const char *name)
{
	MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);

	prepared = lappend(prepared, pstrdup(name));
	MemoryContextSwitchTo(before);
}

static void
utility(PlannedStmt *planned, const char *text, bool read_only_tree,
		ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
		DestReceiver *destination, QueryCompletion *completion)
{
	Node	   *statement = planned->utilityStmt;

	if (pooling == TRANSACTION)
	{
		refuse_at_once(statement);
		if (frees_a_drivers(statement))
		{
			if (completion)
				SetQueryCompletion(completion, CMDTAG_DEALLOCATE, 0);
			return;
		}
		has_set = has_set || IsA(statement, VariableSetStmt);
	}

	(next_utility ? next_utility : standard_ProcessUtility) (
		planned, text, read_only_tree, context, params, environment, destination, completion);

	if (pooling == TRANSACTION)
	{
		if (IsA(statement, PrepareStmt))
			remember_prepared(castNode(PrepareStmt, statement)->name);
		if (MyXactFlags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE && !IsTransactionBlock() &&
			context == PROCESS_UTILITY_TOPLEVEL && !makes_for_itself(statement))
			refuse("What is temporary", "Make and use it in one transaction");
	}
}

static void
access(ObjectAccessType type, Oid class, Oid object, int column, void *argument)
{
	if (next_access)
		next_access(type, class, object, column, argument);
	if (pooling != TRANSACTION || type != OAT_FUNCTION_EXECUTE)
		return;
	switch (object)
	{
		case F_PG_ADVISORY_LOCK_INT8:
		case F_PG_ADVISORY_LOCK_INT4_INT4:
		case F_PG_ADVISORY_LOCK_SHARED_INT8:
		case F_PG_ADVISORY_LOCK_SHARED_INT4_INT4:
		case F_PG_TRY_ADVISORY_LOCK_INT8:
		case F_PG_TRY_ADVISORY_LOCK_INT4_INT4:
		case F_PG_TRY_ADVISORY_LOCK_SHARED_INT8:
		case F_PG_TRY_ADVISORY_LOCK_SHARED_INT4_INT4:
			refuse("A session's advisory lock", "Use pg_advisory_xact_lock and its like");
			break;
		case F_SET_CONFIG:
			has_set = true;
			break;
	}
}

/* --- The transaction's end ------------------------------------------------------------------- */

static void
before_commit(void)
{
	if (has_set)
		refuse_left_settings();
	if (MyXactFlags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE)
	{
		PushActiveSnapshot(GetTransactionSnapshot());
		ResetTempTableNamespace();
		PopActiveSnapshot();
	}
}

static void
at_end(void)
{
	ListCell   *name;

	foreach(name, prepared)
		DropPreparedStatement(lfirst(name), false);
	list_free_deep(prepared);
	prepared = NIL;
	has_set = false;
	ResetSequenceCaches();		/* what currval() and lastval() know */
}

static void
transaction(XactEvent event, void *argument)
{
	if (pooling != TRANSACTION)
		return;
	if (event == XACT_EVENT_PRE_COMMIT)
		before_commit();
	else if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT)
		at_end();
}

/* --- The beginning --------------------------------------------------------------------------- */

void
_PG_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;
	DefineCustomStringVariable("pgherd.reported",
							   "The settings that the pooler follows, beside PostgreSQL's own.",
							   NULL, &reported, "", PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("pgherd.pooling",
							 "What a client of the pooler has this server process for.",
							 "The pooler says it first of all, and it cannot be changed.",
							 &setting, UNSAID, POOLINGS, PGC_USERSET, GUC_NO_RESET_ALL,
							 check_pooling, assign_pooling, NULL);
	report_settings();
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = utility;
	next_access = object_access_hook;
	object_access_hook = access;
	RegisterXactCallback(transaction, NULL);
}
