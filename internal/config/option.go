package config

import (
	"errors"
	"fmt"
	"math"
	"net"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// Option describes one setting: what it is called on a command line and in the
// environment, what the help says about it, and how a value is put in place.
type Option struct {
	// Short and Long are the flag's names with their dashes, or empty.
	Short, Long string
	// Env is the environment variable, or empty for what only a flag can do.
	Env string
	// Value is the placeholder of the flag's value, or empty for a switch,
	// which takes none.
	Value string
	// Default describes the value in force when none is given, if there is one.
	Default string
	// Example is a value for those that have no default, or empty for a switch.
	Example string
	// Group is the heading in the help text; a group's options are neighbours.
	Group string
	// Help is one or two lines of text.
	Help string

	// Live says that a running server can change it when it reads its file again;
	// of fsync-interval, not to 0 and not from it.
	Live bool

	// set acts on a value. A switch given as a flag has the value "1".
	set func(inv *Invocation, value string) error
	// again acts on a switch given as a flag instead, if that is something else.
	again func(*Config)
	// get returns what is set, as a string, an int64 or a bool: something that set
	// would take. It is nil for what only a flag can do.
	get func(*Config) any
}

// Key returns the option's name in a file, or "" if it cannot be there.
func (o *Option) Key() string {
	if o.get == nil {
		return ""
	}
	return strings.TrimPrefix(o.Long, "--")
}

// Headings of the help text.
const (
	groupListening = "Listening"
	groupJobs      = "Jobs"
	groupJournal   = "Journal"
	groupHTTP      = "HTTP and metrics"
	groupServing   = "Serving"
	groupFile      = "Configuration file"
	groupMessages  = "Messages"
	groupOld       = "For old command lines"
)

// Options returns the table of all options in the order of the help text.
// A file and the environment are applied in this order too, so that of SPOKED_NO_FSYNC
// and SPOKED_FSYNC_INTERVAL the first has the last word, whatever order they are in.
func Options() []Option {
	return []Option{
		{
			Short: "-l", Long: "--listen", Env: "SPOKED_LISTEN", Value: "ADDR", Default: "0.0.0.0",
			Group: groupListening,
			Help:  "host name, IP address or unix:PATH",
			set:   setText("address", func(c *Config) *string { return &c.Listen }),
			get:   listenOf,
		},
		{
			Short: "-p", Long: "--port", Env: "SPOKED_PORT", Value: "PORT", Default: "11300",
			Group: groupListening,
			Help:  "port number or service name; 0 takes any\nfree port",
			set:   setPort,
			get:   number(func(c *Config) int64 { return int64(c.Port) }),
		},
		{
			Short: "-u", Long: "--user", Env: "SPOKED_USER", Value: "USER", Example: "nobody",
			Group: groupListening,
			Help:  "become this user, and its group, once the\nsocket is bound",
			set:   setText("user", func(c *Config) *string { return &c.User }),
			get:   text(func(c *Config) string { return c.User }),
		},
		{
			Short: "-z", Long: "--max-job-size", Env: "SPOKED_MAX_JOB_SIZE", Value: "BYTES", Default: "65535",
			Group: groupJobs,
			Help:  "largest job body, 1073741824 at most",
			set:   setMaxJobSize,
			get:   number(func(c *Config) int64 { return int64(c.MaxJobSize) }),
			Live:  true,
		},
		{
			Long: "--memory", Env: "SPOKED_MEMORY", Value: "SIZE", Default: "auto",
			Group: groupJobs,
			Help:  "memory that jobs may use, such as 512MB or\n2GiB; 0 is any, auto 80 % of what there is.\nWhen it is used up, bodies are left to the\njournal, or puts refused",
			set:   setMemory,
			get:   memoryOf,
			Live:  true,
		},
		{
			Long: "--bodies", Env: "SPOKED_BODIES", Value: "WHERE", Default: "auto",
			Group: groupJobs,
			Help:  "where bodies are if there is a journal:\nmemory, disk, or auto: in memory, but for\njobs that there is no room for, and those\ndelayed by ten minutes and more",
			set:   setChoice("place for bodies", func(c *Config) *Bodies { return &c.Bodies }, BodiesMemory, BodiesAuto, BodiesDisk),
			get:   text(func(c *Config) string { return string(c.Bodies) }),
			Live:  true,
		},
		{
			Short: "-b", Long: "--journal", Env: "SPOKED_JOURNAL", Value: "DIR", Example: "/var/lib/spoked",
			Group: groupJournal,
			Help:  "keep jobs in this directory, which must\nexist; else they are gone when spoked stops",
			set:   setText("directory", func(c *Config) *string { return &c.Journal }),
			get:   text(func(c *Config) string { return c.Journal }),
		},
		{
			Short: "-f", Long: "--fsync-interval", Env: "SPOKED_FSYNC_INTERVAL", Value: "MS", Default: "50",
			Group: groupJournal,
			Help:  "a power cut takes at most so many\nmilliseconds of acknowledged work; with 0,\nreplies wait until that is synced",
			set:   setFsyncInterval,
			get:   number(func(c *Config) int64 { return c.FsyncInterval.Milliseconds() }),
			Live:  true,
		},
		{
			Short: "-F", Long: "--no-fsync", Env: "SPOKED_NO_FSYNC",
			Group: groupJournal,
			Help:  "never sync: a crash of spoked loses nothing,\na power cut anything",
			set:   setSwitch(func(c *Config) *bool { return &c.NoFsync }),
			get:   truth(func(c *Config) bool { return c.NoFsync }),
		},
		{
			Short: "-s", Long: "--journal-segment-size", Env: "SPOKED_JOURNAL_SEGMENT_SIZE", Value: "BYTES", Default: "10485760",
			Group: groupJournal,
			Help:  "size of one journal file; on disk is twice\nwhat the jobs need, and two files, at most",
			set:   setJournalSegmentSize,
			get:   number(func(c *Config) int64 { return c.JournalSegmentSize }),
		},
		{
			Long: "--http", Env: "SPOKED_HTTP", Value: "ADDR", Default: DefaultHTTP,
			Group: groupHTTP,
			Help:  "HOST:PORT for the HTTP API and metrics, or\noff; if the default is in use, a warning and\nno HTTP",
			set:   setHTTP,
			get:   text(func(c *Config) string { return c.HTTP }),
		},
		{
			Long: "--http-token-file", Env: "SPOKED_HTTP_TOKEN_FILE", Value: "FILE", Example: "/etc/spoked/tokens",
			Group: groupHTTP,
			Help:  "who may do what: on each line a role (read,\nproduce, work or admin), the SHA-256 of a\ntoken in hexadecimal, and a name",
			set:   setText("file", func(c *Config) *string { return &c.HTTPTokens }),
			get:   text(func(c *Config) string { return c.HTTPTokens }),
			Live:  true,
		},
		{
			Long: "--http-insecure", Env: "SPOKED_HTTP_INSECURE",
			Group: groupHTTP,
			Help:  "serve other hosts without tokens: whoever\nreaches the address may do anything",
			set:   setSwitch(func(c *Config) *bool { return &c.HTTPInsecure }),
			get:   truth(func(c *Config) bool { return c.HTTPInsecure }),
		},
		{
			Long: "--metrics-tubes", Env: "SPOKED_METRICS_TUBES", Value: "N", Default: "1000",
			Group: groupHTTP,
			Help:  "how many tubes have metrics of their own; the\nothers are summed",
			set:   setMetricsTubes,
			get:   number(func(c *Config) int64 { return int64(c.MetricsTubes) }),
			Live:  true,
		},
		{
			Long: "--statsd", Env: "SPOKED_STATSD", Value: "ADDR", Example: "127.0.0.1:8125",
			Group: groupHTTP,
			Help:  "HOST:PORT of a StatsD server, to which the\nmetrics are sent every ten seconds",
			set:   setStatsD,
			get:   text(func(c *Config) string { return c.StatsD }),
			Live:  true,
		},
		{
			Long: "--compat", Env: "SPOKED_COMPAT", Value: "VERSION", Default: "1.13",
			Group: groupServing,
			Help:  "reply like beanstalkd 1.12 or 1.13",
			set:   setChoice("version", func(c *Config) *Compat { return &c.Compat }, Compat112, Compat113),
			get:   text(func(c *Config) string { return string(c.Compat) }),
		},
		{
			Long: "--strict", Env: "SPOKED_STRICT",
			Group: groupServing,
			Help:  "know no command that beanstalkd does not\nhave",
			set:   setSwitch(func(c *Config) *bool { return &c.Strict }),
			get:   truth(func(c *Config) bool { return c.Strict }),
		},
		{
			Long: "--loops", Env: "SPOKED_LOOPS", Value: "N", Default: "1",
			Group: groupServing,
			Help:  "number of event loops, 1 to 256",
			set:   setLoops,
			get:   number(func(c *Config) int64 { return int64(c.Loops) }),
		},
		{
			Long: "--transport", Env: "SPOKED_TRANSPORT", Value: "NAME", Default: "epoll on Linux",
			Group: groupServing,
			Help:  "epoll: event loops, on Linux only;\nnet: a goroutine for each connection",
			set:   setTransport,
			get:   text(func(c *Config) string { return string(c.Transport) }),
		},
		{
			Long: "--config", Env: "SPOKED_CONFIG", Value: "FILE",
			Group: groupFile,
			Help:  "a TOML or YAML file (.toml, .yaml, .yml) of\noptions by their long names, read first: a\nvariable beats it, and a flag both",
			set:   setFile,
		},
		{
			Short: "-V", Long: "--verbose", Env: "SPOKED_VERBOSE",
			Group: groupMessages,
			Help:  "say more; -VV reports every command (the\nvariable is the number of times)",
			set:   setVerbose,
			again: func(c *Config) { c.Verbosity++ },
			get:   number(func(c *Config) int64 { return int64(c.Verbosity) }),
			Live:  true,
		},
		{
			Long: "--log-format", Env: "SPOKED_LOG_FORMAT", Value: "NAME", Default: "console",
			Group: groupMessages,
			Help:  "console or json",
			set:   setChoice("log format", func(c *Config) *LogFormat { return &c.LogFormat }, LogConsole, LogJSON),
			get:   text(func(c *Config) string { return string(c.LogFormat) }),
			Live:  true,
		},
		{
			Short: "-v", Long: "--version",
			Group: groupMessages,
			Help:  "print the version and exit",
			set:   setAction(ActionVersion),
		},
		{
			Short: "-h", Long: "--help",
			Group: groupMessages,
			Help:  "print this help and exit",
			set:   setAction(ActionHelp),
		},
		{
			Short: "-c",
			Group: groupOld,
			Help:  "no effect",
			set:   warnRemoved("-c"),
		},
		{
			Short: "-n",
			Group: groupOld,
			Help:  "no effect",
			set:   warnRemoved("-n"),
		},
	}
}

func text(field func(*Config) string) func(*Config) any {
	return func(c *Config) any { return field(c) }
}

func number(field func(*Config) int64) func(*Config) any {
	return func(c *Config) any { return field(c) }
}

func truth(field func(*Config) bool) func(*Config) any {
	return func(c *Config) any { return field(c) }
}

func listenOf(c *Config) any {
	if c.Listen == "" {
		return "0.0.0.0"
	}
	return c.Listen
}

func memoryOf(c *Config) any {
	if c.Memory < 0 {
		return "auto"
	}
	return c.Memory
}

// setText returns a setter for free text. Empty text is refused: it is what
// -l "$UNSET" leaves behind, and would quietly listen to the whole world, stay
// root or keep no journal.
func setText(what string, field func(*Config) *string) func(*Invocation, string) error {
	return func(inv *Invocation, value string) error {
		if value == "" {
			return fmt.Errorf("invalid %s: %s", what, value)
		}
		*field(&inv.Config) = value
		return nil
	}
}

// setChoice returns a setter for one of a few words.
func setChoice[T ~string](what string, field func(*Config) *T, choices ...T) func(*Invocation, string) error {
	return func(inv *Invocation, value string) error {
		for _, choice := range choices {
			if value == string(choice) {
				*field(&inv.Config) = choice
				return nil
			}
		}
		return fmt.Errorf("invalid %s: %s (want one of %v)", what, value, choices)
	}
}

// setAction returns a setter for a flag that is answered instead of serving.
func setAction(action Action) func(*Invocation, string) error {
	return func(inv *Invocation, _ string) error {
		inv.Action = action
		return nil
	}
}

// warnRemoved returns a setter for a flag that beanstalkd has given up but
// still accepts; the text is beanstalkd's.
func warnRemoved(flag string) func(*Invocation, string) error {
	return func(inv *Invocation, _ string) error {
		inv.warn("%s flag was removed. binlog is always compacted.", flag)
		return nil
	}
}

func setPort(inv *Invocation, value string) error {
	if value == "" { // which net takes for 0
		return fmt.Errorf("invalid port: %s", value)
	}
	port, err := net.LookupPort("tcp", value)
	if err != nil {
		return fmt.Errorf("invalid port: %s", value)
	}
	inv.Config.Port = port
	return nil
}

func setMaxJobSize(inv *Invocation, value string) error {
	size, err := parseSize(value)
	if err != nil {
		return err
	}
	if size > MaxJobSizeLimit {
		inv.warn("maximum job size was set to %d", MaxJobSizeLimit)
		size = MaxJobSizeLimit
	}
	inv.Config.MaxJobSize = int(size)
	return nil
}

// setMemory takes bytes, or a number with a unit: KB, MB, GB and TB are powers
// of 1000, KiB, MiB, GiB and TiB of 1024.
func setMemory(inv *Invocation, value string) error {
	if value == "auto" {
		inv.Config.Memory = -1
		return nil
	}
	n, err := humanize.ParseBytes(value)
	if err != nil || n > math.MaxInt64 {
		return fmt.Errorf("invalid size: %s (want auto, bytes, or a number with KB, MB, GB, KiB, MiB or GiB)", value)
	}
	inv.Config.Memory = int64(n)
	return nil
}

// setFsyncInterval also undoes an earlier -F, as in beanstalkd.
func setFsyncInterval(inv *Invocation, value string) error {
	ms, err := parseSize(value)
	if err != nil {
		return err
	}
	if ms > math.MaxInt64/uint64(time.Millisecond) {
		return fmt.Errorf("invalid size: %s", value)
	}
	inv.Config.FsyncInterval = time.Duration(ms) * time.Millisecond
	inv.Config.NoFsync = false
	return nil
}

// setSwitch returns a setter for what is either on or off.
func setSwitch(field func(*Config) *bool) func(*Invocation, string) error {
	return func(inv *Invocation, value string) error {
		on, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("invalid switch: %s (want 0 or 1)", value)
		}
		*field(&inv.Config) = on
		return nil
	}
}

func setJournalSegmentSize(inv *Invocation, value string) error {
	size, err := parseSize(value)
	if err != nil {
		return err
	}
	if size > math.MaxInt64 {
		return fmt.Errorf("invalid size: %s", value)
	}
	inv.Config.JournalSegmentSize = int64(size)
	return nil
}

func setLoops(inv *Invocation, value string) error {
	loops, err := strconv.Atoi(value)
	if err != nil || loops < 1 || loops > MaxLoops {
		return fmt.Errorf("invalid number: %s (want 1 to %d)", value, MaxLoops)
	}
	inv.Config.Loops = loops
	return nil
}

func setTransport(inv *Invocation, value string) error {
	if Transport(value) == TransportEpoll && runtime.GOOS != "linux" {
		return fmt.Errorf("invalid transport: %s (it needs Linux)", value)
	}
	set := setChoice("transport", func(c *Config) *Transport { return &c.Transport }, TransportEpoll, TransportNet)
	return set(inv, value)
}

func setHTTP(inv *Invocation, value string) error {
	if value != HTTPOff {
		if err := checkAddress(value); err != nil {
			return fmt.Errorf("invalid address: %s (want HOST:PORT or off)", value)
		}
	}
	inv.Config.HTTP, inv.Config.HTTPExplicit = value, true
	return nil
}

func setStatsD(inv *Invocation, value string) error {
	if err := checkAddress(value); err != nil {
		return err
	}
	inv.Config.StatsD = value
	return nil
}

// checkAddress returns an error unless value is HOST:PORT. The host may be empty,
// and the port is a number.
func checkAddress(value string) error {
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fmt.Errorf("invalid address: %s (want HOST:PORT)", value)
	}
	return nil
}

func setMetricsTubes(inv *Invocation, value string) error {
	n, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return fmt.Errorf("invalid number: %s", value)
	}
	inv.Config.MetricsTubes = int(n)
	return nil
}

func setFile(inv *Invocation, value string) error {
	if _, err := formatOf(value); err != nil {
		return err
	}
	inv.File = value
	return nil
}

// setVerbose sets; the flag, which repeats, adds to what the environment and the
// file say.
func setVerbose(inv *Invocation, value string) error {
	times, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		return fmt.Errorf("invalid number: %s", value)
	}
	inv.Config.Verbosity = int(times)
	return nil
}

// parseSize reads decimal digits and nothing else; beanstalkd's scanf("%zu")
// would take blanks and a minus sign too. Like scanf it returns the largest
// number when there are too many digits: what is too large is for the caller to say.
func parseSize(value string) (uint64, error) {
	size, err := strconv.ParseUint(value, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("invalid size: %s", value)
	}
	return size, nil
}
