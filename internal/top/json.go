package top

import (
	"encoding/json"
	"math"
	"time"

	"spoked/internal/api"
)

// frameJSON is a frame for programs. What the server does not say is null.
type frameJSON struct {
	At      time.Time   `json:"at"`
	Server  serverJSON  `json:"server"`
	Seconds ratesJSON   `json:"per_second"`
	Tubes   []*tubeJSON `json:"tubes"` // sorted and filtered
}

type serverJSON struct {
	Name           string        `json:"name"`
	Version        string        `json:"version"`
	Host           string        `json:"host"`
	Address        string        `json:"address"`
	Uptime         api.Duration  `json:"uptime"`
	Draining       bool          `json:"draining"`
	Connections    int64         `json:"connections"`
	Producers      int64         `json:"producers"`
	Workers        int64         `json:"workers"`
	Waiting        int64         `json:"waiting"`
	Ready          int64         `json:"ready"`
	Delayed        int64         `json:"delayed"`
	Reserved       int64         `json:"reserved"`
	Buried         int64         `json:"buried"`
	Puts           int64         `json:"puts"`
	Reserves       int64         `json:"reserves"`
	Timeouts       int64         `json:"timeouts"`
	CPU            *api.Duration `json:"cpu"`
	BodyBytes      *int64        `json:"body_bytes"`
	JournalRecords *int64        `json:"journal_records"`
	JournalBytes   *int64        `json:"journal_bytes"`
}

type ratesJSON struct {
	Puts     *float64 `json:"puts"`
	Reserves *float64 `json:"reserves"`
	Deletes  *float64 `json:"deletes"`
	Timeouts *float64 `json:"timeouts"`
	CPU      *float64 `json:"cpu_seconds"`
	Records  *float64 `json:"journal_records"`
}

type tubeJSON struct {
	Name      string        `json:"name"`
	Ready     int64         `json:"ready"`
	Urgent    int64         `json:"urgent"`
	Delayed   int64         `json:"delayed"`
	Reserved  int64         `json:"reserved"`
	Buried    int64         `json:"buried"`
	Using     int64         `json:"using"`
	Watching  int64         `json:"watching"`
	Waiting   int64         `json:"waiting"`
	Puts      int64         `json:"puts"`
	Deletes   int64         `json:"deletes"`
	In        *float64      `json:"puts_per_second"`
	Out       *float64      `json:"deletes_per_second"`
	Oldest    *api.Duration `json:"oldest_ready_age"`
	PauseLeft api.Duration  `json:"pause_left"`
}

// json returns the frame that is shown, with the rows that are.
func (m *model) json() ([]byte, error) {
	s, r := &m.shown.server, &m.shown.rates
	v := frameJSON{
		At: m.shown.at.UTC(),
		Server: serverJSON{
			Name: s.Name, Version: s.Version, Host: s.Host, Address: s.Address, Uptime: api.Duration(s.Uptime), Draining: s.Draining,
			Connections: s.Connections, Producers: s.Producers, Workers: s.Workers, Waiting: s.Waiting,
			Ready: s.Ready, Delayed: s.Delayed, Reserved: s.Reserved, Buried: s.Buried,
			Puts: s.Puts, Reserves: s.Reserves, Timeouts: s.Timeouts,
			CPU: orNull(api.Duration(s.CPU)), BodyBytes: orNull(s.Bodies),
			JournalRecords: orNull(s.JournalRecords), JournalBytes: orNull(s.JournalBytes),
		},
		Seconds: ratesJSON{
			Puts: orNull(r.puts), Reserves: orNull(r.reserves), Deletes: orNull(r.deletes), Timeouts: orNull(r.timeouts),
			CPU: orNull(r.cpu), Records: orNull(r.records),
		},
		Tubes: make([]*tubeJSON, 0, len(m.rows)),
	}
	for _, t := range m.rows {
		v.Tubes = append(v.Tubes, &tubeJSON{
			Name: t.Name, Ready: t.Ready, Urgent: t.Urgent, Delayed: t.Delayed, Reserved: t.Reserved, Buried: t.Buried,
			Using: t.Using, Watching: t.Watching, Waiting: t.Waiting, Puts: t.Puts, Deletes: t.Deletes,
			In: orNull(t.in), Out: orNull(t.out), Oldest: orNull(api.Duration(t.Oldest)), PauseLeft: api.Duration(t.PauseLeft),
		})
	}
	b, err := json.Marshal(v)
	return append(b, '\n'), err
}

// orNull returns nil for a figure that is not known.
func orNull[T int64 | float64 | api.Duration](v T) *T {
	if v == Unknown || math.IsNaN(float64(v)) {
		return nil
	}
	return &v
}
