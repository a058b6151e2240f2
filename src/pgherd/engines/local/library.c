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

#include "access/genam.h"
#include "access/table.h"
#include "access/transam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_depend.h"
#include "catalog/pg_namespace.h"
#include "commands/dbcommands.h"
#include "commands/prepare.h"
#include "commands/sequence.h"
#include "executor/executor.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/guc_tables.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
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

/* What this transaction has done, or may have, where that matters: set anything; made anything; prepared as SQL. */
static bool has_set = false;
static bool has_created = false;
static List *prepared = NIL;

/* Whether somebody has chosen the random numbers that come next. */
static bool has_seeded = false;

static ProcessUtility_hook_type next_utility = NULL;
static ExecutorStart_hook_type next_start = NULL;
static object_access_hook_type next_access = NULL;
static GucStringCheckHook next_check = NULL;

static void
refuse(const char *message, const char *instead)
{
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("%s", message),
			 errhint("%s, or connect to the name without \"-transaction\".", instead)));
}

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

/* By a SET alone, and once: not by a setting of a role or a database, which a tenant may make. */
static bool
check_pooling(int *value, void **extra, GucSource source)
{
	if (*value == UNSAID || (source == PGC_S_SESSION && (pooling == UNSAID || *value == pooling)))
		return true;
	GUC_check_errmsg("the pooler alone says what a client has here, and says it once");
	return false;
}

static void
assign_pooling(int value, void *extra)
{
	if (value != UNSAID)
		pooling = value;
}

/*
 * The pooler comes by TCP to a service's database, and nobody else does. It goes on where its first
 * statement fails, as by a timeout that the role has set: then this connection ends.
 */
static void
insist_on_pooling(void)
{
	static bool is_exempt = false;
	LOCAL_FCINFO(call, 0);

	if (pooling != UNSAID || is_exempt)
		return;
	InitFunctionCallInfoData(*call, NULL, 0, InvalidOid, NULL, NULL);
	(void) inet_client_addr(call);
	is_exempt = call->isnull || strcmp(get_database_name(MyDatabaseId), "postgres") == 0;
	if (!is_exempt)
		ereport(FATAL, (errcode(ERRCODE_PROTOCOL_VIOLATION),
						errmsg("the pooler has not said what a client has here")));
}

/*
 * A pooler follows what PostgreSQL reports of it: in one piece of 4 kB, in the encoding of the client
 * before, and with nothing after the "=" where it is empty.
 */
static bool
check_followable(char **value, void **extra, GucSource source)
{
	bool		is_ascii = true;

	for (const char *c = *value; *c; c++)
		is_ascii = is_ascii && !IS_HIGHBIT_SET(*c);
	if (strlen(*value) > 2000 || (pooling == TRANSACTION && !is_ascii))
	{
		GUC_check_errmsg("the pooler cannot follow this search_path");
		GUC_check_errhint("Up to 2000 bytes; with transactions, of ASCII.");
		return false;
	}
	if (**value == '\0')
	{
#if PG_VERSION_NUM >= 160000
		char	   *nothing = guc_strdup(LOG, "\"\"");

		if (nothing)
			guc_free(*value);
#else
		char	   *nothing = strdup("\"\"");

		if (nothing)
			free(*value);
#endif
		if (!nothing)
			return false;
		*value = nothing;
	}
	return !next_check || next_check(value, extra, source);
}

/* Whether its new value outlasts the transaction and nobody follows it. */
static bool
is_left(struct config_generic *conf)
{
	bool		is_role = strcmp(conf->name, "role") == 0;

	if (conf->flags & GUC_REPORT || (conf->flags & GUC_NO_RESET_ALL && !is_role))
		return false;
	/* What SET LOCAL hides comes back at commit. */
	if (conf->stack && conf->stack->state == GUC_SET_LOCAL)
		return true;
	if (conf->stack && conf->stack->state == GUC_LOCAL)
		return false;
	if (is_role && strcmp(*((struct config_string *) conf)->variable, "none") == 0)
		return false;
	return conf->source == PGC_S_SESSION;
}

static void
refuse_left_settings(void)
{
	int			count;
	struct config_generic **settings = all_settings(&count);

	for (int i = 0; i < count; i++)
		if (is_left(settings[i]))
			refuse(psprintf("\"%s\" cannot outlast a transaction here", settings[i]->name),
				   "Use SET LOCAL");
}

static struct config_generic *
named(const char *name, struct config_generic **settings, int count)
{
	for (int i = 0; i < count; i++)
		if (pg_strcasecmp(settings[i]->name, name) == 0)
			return settings[i];
	return NULL;
}

/* Report what `pgherd.reported` names, as far as this version has it, and watch `search_path`. */
static void
change_settings(void)
{
	List	   *names;
	ListCell   *cell;
	int			count;
	struct config_generic **settings = all_settings(&count);
	struct config_generic *setting;
	struct config_string *search_path;

	if (!SplitIdentifierString(pstrdup(reported), ',', &names))
		ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
						errmsg("\"pgherd.reported\" is no list of names")));
	foreach(cell, names)
		if ((setting = named(lfirst(cell), settings, count)))
			setting->flags |= GUC_REPORT;

	search_path = (struct config_string *) named("search_path", settings, count);
	next_check = search_path->check_hook;
	search_path->check_hook = check_followable;
}

/* --- Statements ------------------------------------------------------------------------------ */

static bool
is_a_drivers(const char *name)
{
	PreparedStatement *found = FetchPreparedStatement(name, false);

	return found && !found->from_sql;
}

static bool
is_prepared_as_sql(const char *name)
{
	PreparedStatement *found = FetchPreparedStatement(name, false);

	return found && found->from_sql;
}

/* Refuse what cannot work, before it is done. */
static void
refuse_at_once(Node *statement, ProcessUtilityContext context)
{
	const char *name;

	switch (nodeTag(statement))
	{
		case T_ListenStmt:
			refuse("LISTEN cannot outlast a transaction here", "Ask in intervals");
			break;
		case T_PrepareStmt:
			name = castNode(PrepareStmt, statement)->name;
			if (!IsTransactionBlock() || strncmp(name, "PGBOUNCER_", 10) == 0)
				refuse("a statement that is prepared as SQL cannot outlast a transaction here",
					   "Use those of your driver");
			break;
		case T_ExecuteStmt:
			if (is_a_drivers(castNode(ExecuteStmt, statement)->name))
				refuse("this statement may be another client's", "Use those of your driver");
			break;
		case T_DeallocateStmt:
			/* The pooler sees only those that clients send as they are. */
			if (!castNode(DeallocateStmt, statement)->name && context != PROCESS_UTILITY_TOPLEVEL)
				refuse("DEALLOCATE ALL has to reach the pooler", "Send it by itself");
			break;
		case T_DeclareCursorStmt:
			if (castNode(DeclareCursorStmt, statement)->options & CURSOR_OPT_HOLD)
				refuse("a cursor WITH HOLD cannot outlast a transaction here",
					   "Fetch from one without it, in one transaction");
			break;
		default:
			break;
	}
}

/* A driver's statement, which has another name behind the pooler, and which the pooler frees. */
static bool
frees_a_drivers(Node *statement)
{
	const char *name = IsA(statement, DeallocateStmt) ? castNode(DeallocateStmt, statement)->name : NULL;

	return name && !is_prepared_as_sql(name);
}

static void
remember_prepared(const char *name)
{
	MemoryContext before = MemoryContextSwitchTo(TopMemoryContext);

	prepared = lappend(prepared, pstrdup(name));
	MemoryContextSwitchTo(before);
}

/* Whether it makes something that is meant to stay. */
static bool
makes_to_stay(Node *statement)
{
	switch (nodeTag(statement))
	{
		case T_CreateStmt:
			return castNode(CreateStmt, statement)->oncommit != ONCOMMIT_DROP;
		case T_CreateTableAsStmt:
			return castNode(CreateTableAsStmt, statement)->into->onCommit != ONCOMMIT_DROP;
		case T_ViewStmt:
		case T_CreateSeqStmt:
		case T_CreateFunctionStmt:
		case T_DefineStmt:
		case T_CompositeTypeStmt:
		case T_CreateEnumStmt:
		case T_CreateRangeStmt:
		case T_CreateDomainStmt:
			return true;
		default:
			return false;
	}
}

/* Whether anything is in this process's schema for temporary objects. */
static bool
has_temporary_objects(void)
{
	Oid			schema;
	Oid			toast;
	Relation	depend;
	ScanKeyData keys[2];
	SysScanDesc scan;
	bool		found;

	GetTempNamespaceState(&schema, &toast);
	if (!OidIsValid(schema))
		return false;
	CommandCounterIncrement();
	depend = table_open(DependRelationId, AccessShareLock);
	ScanKeyInit(&keys[0], Anum_pg_depend_refclassid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(NamespaceRelationId));
	ScanKeyInit(&keys[1], Anum_pg_depend_refobjid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(schema));
	scan = systable_beginscan(depend, DependReferenceIndexId, true, NULL, 2, keys);
	found = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(depend, AccessShareLock);
	return found;
}

static void
sow(void)
{
	uint32		chance;

	if (!has_seeded || !pg_strong_random(&chance, sizeof chance))
		return;
	DirectFunctionCall1(setseed, Float8GetDatum((double) chance / PG_UINT32_MAX));
	has_seeded = false;
}

static void
note_set(VariableSetStmt *statement, ProcessUtilityContext context)
{
	has_set = true;
	has_seeded = has_seeded || (statement->name && strcmp(statement->name, "seed") == 0);
	/* The pooler's own run under the timeout of the client before; the next statement starts it. */
	if (context == PROCESS_UTILITY_TOPLEVEL)
		disable_timeout(STATEMENT_TIMEOUT, false);
}

static void
on_utility(PlannedStmt *planned, const char *text, bool read_only_tree,
		   ProcessUtilityContext context, ParamListInfo params, QueryEnvironment *environment,
		   DestReceiver *destination, QueryCompletion *completion)
{
	Node	   *statement = planned->utilityStmt;

	if (IsA(statement, VariableSetStmt))
		note_set(castNode(VariableSetStmt, statement), context);
	else if (!IsA(statement, TransactionStmt))
		insist_on_pooling();
	if (pooling == TRANSACTION)
	{
		refuse_at_once(statement, context);
		if (frees_a_drivers(statement))
		{
			if (completion)
				SetQueryCompletion(completion, CMDTAG_DEALLOCATE, 0);
			return;
		}
	}

	(next_utility ? next_utility : standard_ProcessUtility) (
		planned, text, read_only_tree, context, params, environment, destination, completion);

	if (IsA(statement, DiscardStmt))
		sow();
	if (pooling == TRANSACTION)
	{
		if (IsA(statement, PrepareStmt))
			remember_prepared(castNode(PrepareStmt, statement)->name);
		if (context == PROCESS_UTILITY_TOPLEVEL && !IsTransactionBlock() &&
			makes_to_stay(statement) && has_temporary_objects())
			refuse("what is temporary cannot outlast a transaction here",
				   "Make and use it in one transaction");
	}
}

static void
on_start(QueryDesc *query, int flags)
{
	insist_on_pooling();
	if (next_start)
		next_start(query, flags);
	else
		standard_ExecutorStart(query, flags);
}

static void
on_access(ObjectAccessType type, Oid class, Oid object, int column, void *argument)
{
	if (next_access)
		next_access(type, class, object, column, argument);
	if (type == OAT_POST_CREATE)
		has_created = true;
	if (type != OAT_FUNCTION_EXECUTE)
		return;
	/* A function of an extension may set what it likes. */
	has_set = has_set || object == F_SET_CONFIG || object >= FirstNormalObjectId;
	has_seeded = has_seeded || object == F_SETSEED;
	if (pooling != TRANSACTION)
		return;
	switch (object)
	{
		case F_PG_PREPARED_STATEMENT:
			refuse("prepared statements may be other clients' here", "Ask your driver");
			break;
		case F_PG_ADVISORY_LOCK_INT8:
		case F_PG_ADVISORY_LOCK_INT4_INT4:
		case F_PG_ADVISORY_LOCK_SHARED_INT8:
		case F_PG_ADVISORY_LOCK_SHARED_INT4_INT4:
		case F_PG_TRY_ADVISORY_LOCK_INT8:
		case F_PG_TRY_ADVISORY_LOCK_INT4_INT4:
		case F_PG_TRY_ADVISORY_LOCK_SHARED_INT8:
		case F_PG_TRY_ADVISORY_LOCK_SHARED_INT4_INT4:
			refuse("a session's advisory lock cannot outlast a transaction here",
				   "Use pg_advisory_xact_lock and its like");
			break;
	}
}

/* --- The transaction's end ------------------------------------------------------------------- */

static void
before_commit(void)
{
	if (has_set)
		refuse_left_settings();
	/* What is made in the schema by its name does not set the flag. */
	if (has_created || MyXactFlags & XACT_FLAGS_ACCESSEDTEMPNAMESPACE)
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
		if (is_prepared_as_sql(lfirst(name)))
			DropPreparedStatement(lfirst(name), false);
	list_free_deep(prepared);
	prepared = NIL;
	has_set = has_created = false;
	sow();
	ResetSequenceCaches();		/* what currval() and lastval() know */
}

static void
on_transaction(XactEvent event, void *argument)
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
	change_settings();
	next_start = ExecutorStart_hook;
	ExecutorStart_hook = on_start;
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
	next_access = object_access_hook;
	object_access_hook = on_access;
	RegisterXactCallback(on_transaction, NULL);
}
