// Package config turns a command line, an environment and a file into the settings
// of a spoked server.
//
// It is values only: nothing here opens a socket, logs or acts on a setting, and
// it looks outside only at the file that it is told of, and at the system's list of
// services, for -p NAME. One table of options (see [Options]) is all there is to
// know about a setting; the flags, the environment variables, the keys of the file,
// the help text and docs/config.md are made from it, so an option added to the table
// works, and is documented, everywhere.
//
// Command lines are beanstalkd's: the same letters, the same way to run them
// together, the same complaints. Each option has a long name and a variable as
// well, and a value out of range is an error where beanstalkd wraps around.
package config

import (
	"runtime"
	"time"

	"spoked/proto"
)

// Version is the version of spoked, for -v.
const Version = "0.1.0"

// MaxJobSizeLimit is the largest job size that can be asked for, as in
// beanstalkd; more than that is lowered to it, with a warning.
const MaxJobSizeLimit = proto.LargestMaxJobSize

// MaxLoops is the largest number of event loops that can be asked for.
const MaxLoops = 256

// The HTTP listener.
const (
	// DefaultHTTP is its address unless another is given.
	DefaultHTTP = "127.0.0.1:11301"
	// HTTPOff is in place of an address if there is to be none.
	HTTPOff = "off"
)

// Compat names the beanstalkd release whose replies are reproduced.
type Compat string

// The releases with a difference that a client can see.
const (
	Compat112 Compat = "1.12"
	Compat113 Compat = "1.13"
)

// Transport names a way to serve connections.
type Transport string

// The transports.
const (
	// TransportEpoll is event loops on epoll(7), on Linux only.
	TransportEpoll Transport = "epoll"
	// TransportNet is a goroutine for each connection, on any system.
	TransportNet Transport = "net"
)

// Bodies names a place for the bodies of jobs.
type Bodies string

// The places for bodies. All but the first need a journal.
const (
	// BodiesMemory is in memory, always.
	BodiesMemory Bodies = "memory"
	// BodiesAuto is in memory as long as there is room, unless the job is far
	// from being ready.
	BodiesAuto Bodies = "auto"
	// BodiesDisk is in the journal, always.
	BodiesDisk Bodies = "disk"
)

// LogFormat names a layout of log lines.
type LogFormat string

// The log formats.
const (
	LogConsole LogFormat = "console"
	LogJSON    LogFormat = "json"
)

// Config holds the settings of one server. [Default] has a server's usual ones.
type Config struct {
	// Listen is a host name, an IP address or unix:PATH; empty means that none
	// was asked for, and stands for 0.0.0.0.
	Listen string
	// Port is the TCP port to listen on, 0 for any free one. A unix socket has
	// no use for it.
	Port int
	// User is the user to become once the socket is bound; empty to stay.
	User string

	// MaxJobSize is the largest job body in bytes, at most [MaxJobSizeLimit].
	MaxJobSize int

	// Memory is how many bytes jobs may use; 0 for no bound, and less than 0 for
	// the daemon to choose.
	Memory int64
	// Bodies is where the bodies of jobs are.
	Bodies Bodies

	// Journal is the directory of the journal; empty to keep jobs in memory.
	Journal string
	// FsyncInterval is the longest that a record waits for its fsync; 0 makes
	// every reply wait for the fsync of what it reports.
	FsyncInterval time.Duration
	// NoFsync leaves it to the system when records reach the disk.
	NoFsync bool
	// JournalSegmentSize is the size of one journal file in bytes.
	JournalSegmentSize int64

	// HTTP is the host and port of the HTTP listener, or [HTTPOff].
	HTTP string
	// HTTPExplicit says that HTTP was asked for, and is not merely the default: a
	// server must not start without it.
	HTTPExplicit bool
	// HTTPTokens is the file of the tokens; empty for none.
	HTTPTokens string
	// HTTPInsecure lets HTTP serve other hosts without tokens.
	HTTPInsecure bool
	// MetricsTubes is how many tubes have metrics of their own.
	MetricsTubes int
	// StatsD is the host and port that metrics are sent to; empty for none.
	StatsD string

	// Compat is the beanstalkd release to be indistinguishable from.
	Compat Compat
	// Strict leaves out the commands that beanstalkd does not have.
	Strict bool
	// Transport is the way to serve connections.
	Transport Transport
	// Loops is the number of event loops of [TransportEpoll], from 1 to
	// [MaxLoops].
	Loops int

	// Verbosity counts the -V flags: 1 reports connections, 2 commands too.
	Verbosity int
	// LogFormat is the layout of log lines.
	LogFormat LogFormat
}

// Default returns the settings of a server started without any option.
func Default() Config {
	return Config{
		Port:               11300,
		MaxJobSize:         proto.DefaultMaxJobSize,
		Memory:             -1,
		Bodies:             BodiesAuto,
		FsyncInterval:      50 * time.Millisecond,
		JournalSegmentSize: 10 << 20,
		HTTP:               DefaultHTTP,
		MetricsTubes:       1000,
		Compat:             Compat113,
		Transport:          defaultTransport(),
		Loops:              1,
		LogFormat:          LogConsole,
	}
}

func defaultTransport() Transport {
	if runtime.GOOS == "linux" {
		return TransportEpoll
	}
	return TransportNet
}
