package metrics

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Kind says how a metric is to be read.
type Kind uint8

// The kinds.
const (
	Gauge     Kind = iota // goes up and down
	Counter               // only goes up, but for a restart
	Histogram             // how values are spread
)

// String returns the kind as Prometheus calls it.
func (k Kind) String() string {
	switch k {
	case Gauge:
		return "gauge"
	case Counter:
		return "counter"
	default:
		return "histogram"
	}
}

// A Family is a metric of the server, with all the labels that it comes with.
type Family struct {
	Name   string
	Kind   Kind
	Labels []string // their names
	Help   string   // a sentence, without its full stop
	// Stats is what the replies to stats and stats-tube call it, if they have it.
	Stats string
}

// Families returns the table of all metrics of the server, in the order of the
// documentation. Those of the Go runtime and of the process are not in it: they
// are the client library's.
func Families() []Family {
	return []Family{
		{"spoked_build_info", Gauge, []string{"version", "goversion"}, "Always 1; the labels tell what program this is", ""},
		{"spoked_server_info", Gauge, []string{"id", "pid", "hostname", "os", "platform", "protocol"}, "Always 1; the labels tell which server this is, and of what beanstalkd it speaks the protocol", "id, pid, hostname, os, platform, version"},
		{"spoked_ready", Gauge, nil, "1 while clients are served and puts accepted, as /readyz has it", ""},
		{"spoked_replay_ratio", Gauge, nil, "How much of the journal has been read since the start, from 0 to 1", ""},
		{"spoked_start_time_seconds", Gauge, nil, "When the server began to serve, in seconds since 1970", "uptime"},
		{"spoked_draining", Gauge, nil, "1 while puts are refused", "draining"},
		{"spoked_max_job_size_bytes", Gauge, nil, "The largest body that a job may have", "max-job-size"},

		{"spoked_jobs", Gauge, []string{"state"}, "Jobs there are", "current-jobs-ready, -reserved, -delayed, -buried"},
		{"spoked_jobs_urgent", Gauge, nil, "Ready jobs with a priority below 1024", "current-jobs-urgent"},
		{"spoked_jobs_put_total", Counter, nil, "Jobs put", "total-jobs"},
		{"spoked_jobs_deleted_total", Counter, nil, "Jobs deleted by a command", ""},
		{"spoked_job_timeouts_total", Counter, nil, "Reservations that have run out", "job-timeouts"},
		{"spoked_job_bodies_bytes", Gauge, nil, "Size of the bodies of all jobs, those that are in the journal alone included", ""},
		{"spoked_commands_total", Counter, []string{"command"}, "Commands executed, as stats counts them: quit, reserve-job and kick-job are not", "cmd-put, cmd-peek and so on"},
		{"spoked_command_duration_seconds", Histogram, []string{"command"}, "From when a command had arrived until its reply was sent, or found to have to wait; commands that are executed in one turn take as long as the turn", ""},
		{"spoked_tubes", Gauge, nil, "Tubes there are", "current-tubes"},
		{"spoked_connections", Gauge, nil, "Connections there are", "current-connections"},
		{"spoked_connections_accepted_total", Counter, nil, "Connections accepted", "total-connections"},
		{"spoked_accept_failures_total", Counter, nil, "Times that a connection could not be accepted, for want of file descriptors as a rule", ""},
		{"spoked_producers", Gauge, nil, "Clients that have put a job", "current-producers"},
		{"spoked_workers", Gauge, nil, "Clients that have reserved a job, or tried to", "current-workers"},
		{"spoked_workers_waiting", Gauge, nil, "Clients that wait in a reserve", "current-waiting"},

		{"spoked_loop_connections", Gauge, []string{"loop"}, "Connections of the event loop; there is one loop for all goroutines with --transport net", ""},
		{"spoked_loop_turns_total", Counter, []string{"loop"}, "Turns of the event loop: each executes what several connections have sent", ""},
		{"spoked_loop_turn_duration_seconds", Histogram, []string{"loop"}, "How long turns took, from when what has arrived was read until the replies were sent", ""},
		{"spoked_loop_turn_longest_seconds", Gauge, []string{"loop"}, "The longest of all turns so far", ""},

		{"spoked_journal_enabled", Gauge, nil, "1 if jobs are kept on disk", ""},
		{"spoked_journal_oldest_segment", Gauge, nil, "Number of the oldest file", "binlog-oldest-index"},
		{"spoked_journal_current_segment", Gauge, nil, "Number of the file that is being written", "binlog-current-index"},
		{"spoked_journal_segments", Gauge, nil, "Files with records", ""},
		{"spoked_journal_segment_size_bytes", Gauge, nil, "Size of one file", "binlog-max-size"},
		{"spoked_journal_live_bytes", Gauge, nil, "What the records of all jobs there are would need alone", ""},
		{"spoked_journal_disk_bytes", Gauge, nil, "Size of all files", ""},
		{"spoked_journal_records_written_total", Counter, nil, "Records written, those migrated included", "binlog-records-written"},
		{"spoked_journal_records_migrated_total", Counter, nil, "Records written again so that an old file could be removed", "binlog-records-migrated"},
		{"spoked_journal_full", Gauge, nil, "1 while the disk has no room for another file, and puts are refused", ""},
		{"spoked_journal_failed", Gauge, nil, "1 once something could not be written or synced, which ends the server", ""},
		{"spoked_journal_batches_total", Counter, nil, "Batches of records, of a turn each", ""},
		{"spoked_journal_unsettled_batches", Gauge, nil, "Batches that replies wait for: not yet written, or with -f 0 not yet synced", ""},
		{"spoked_journal_sync_duration_seconds", Histogram, nil, "How long the disk took to sync", ""},
		{"spoked_journal_chores_total", Counter, nil, "Files made, used again, removed or closed", ""},
		{"spoked_journal_fetches", Gauge, nil, "Bodies that are being read from disk, or are to be", ""},

		{"spoked_tube_jobs", Gauge, []string{"tube", "state"}, "Jobs in the tube", "current-jobs-ready, -reserved, -delayed, -buried"},
		{"spoked_tube_jobs_urgent", Gauge, []string{"tube"}, "Ready jobs in the tube with a priority below 1024", "current-jobs-urgent"},
		{"spoked_tube_jobs_put_total", Counter, []string{"tube"}, "Jobs put into the tube", "total-jobs"},
		{"spoked_tube_jobs_deleted_total", Counter, []string{"tube"}, "Jobs of the tube deleted by a command", "cmd-delete"},
		{"spoked_tube_oldest_ready_age_seconds", Gauge, []string{"tube"}, "Time since the put of the oldest ready job; 0 if none is ready", ""},
		{"spoked_tube_wait_seconds", Histogram, []string{"tube"}, "How long jobs were ready before they were reserved for the first time", ""},
		{"spoked_tube_run_seconds", Histogram, []string{"tube"}, "How long jobs were reserved before they were deleted", ""},
		{"spoked_tube_using", Gauge, []string{"tube"}, "Clients that use the tube", "current-using"},
		{"spoked_tube_watching", Gauge, []string{"tube"}, "Clients that watch the tube", "current-watching"},
		{"spoked_tube_waiting", Gauge, []string{"tube"}, "Clients that watch the tube and wait in a reserve", "current-waiting"},
		{"spoked_tube_pauses_total", Counter, []string{"tube"}, "Times that the tube was paused", "cmd-pause-tube"},
		{"spoked_tube_pause_seconds", Gauge, []string{"tube"}, "Length of the pause of the tube; 0 if it is not paused", "pause"},
		{"spoked_tube_pause_left_seconds", Gauge, []string{"tube"}, "What is left of the pause", "pause-time-left"},

		{"spoked_other_tubes", Gauge, nil, "Tubes without metrics of their own", ""},
		{"spoked_other_tubes_jobs", Gauge, []string{"state"}, "Jobs in those tubes", ""},
		{"spoked_other_tubes_jobs_urgent", Gauge, nil, "Ready jobs in those tubes with a priority below 1024", ""},
		{"spoked_other_tubes_jobs_put_total", Counter, nil, "Jobs put into those tubes while they had no metrics of their own", ""},
		{"spoked_other_tubes_jobs_deleted_total", Counter, nil, "Jobs of those tubes deleted by a command while they had no metrics of their own", ""},
		{"spoked_other_tubes_oldest_ready_age_seconds", Gauge, nil, "Time since the put of the oldest job that is the next to be reserved in one of those tubes; 0 if none is ready", ""},
		{"spoked_other_tubes_using", Gauge, nil, "Clients that use one of those tubes", ""},
		{"spoked_other_tubes_watching", Gauge, nil, "Clients that watch those tubes, counted once for each", ""},
		{"spoked_other_tubes_waiting", Gauge, nil, "Clients that watch those tubes and wait in a reserve, counted once for each", ""},
		{"spoked_other_tubes_paused", Gauge, nil, "Those tubes that are paused", ""},
		{"spoked_other_tubes_wait_seconds", Histogram, nil, "As spoked_tube_wait_seconds, of all tubes whose times are not kept", ""},
		{"spoked_other_tubes_run_seconds", Histogram, nil, "As spoked_tube_run_seconds, of all tubes whose times are not kept", ""},
		{"spoked_collect_duration_seconds", Gauge, nil, "How long it took to gather these metrics", ""},
		{"spoked_collect_longest_hold_seconds", Gauge, nil, "The longest time that the engine was held up meanwhile", ""},
	}
}

// family is a Family as the library needs it.
type family struct {
	kind prometheus.ValueType
	desc *prometheus.Desc
}

// describe returns the families by name.
func describe(table []Family) map[string]family {
	all := make(map[string]family, len(table))
	for _, f := range table {
		kind := prometheus.GaugeValue
		if f.Kind == Counter {
			kind = prometheus.CounterValue
		}
		all[f.Name] = family{kind, prometheus.NewDesc(f.Name, f.Help+".", slices.Clone(f.Labels), nil)}
	}
	return all
}
