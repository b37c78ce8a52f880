package persist

import (
	"bytes"
	"encoding/hex"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"spoked/queue"
)

const base = int64(1795332848761827000)

func aJob(change func(*queue.Record)) queue.Record {
	r := queue.Record{ID: 7, Tube: "default", State: queue.Ready, Created: base, TTR: int64(time.Minute), Body: []byte{}}
	if change != nil {
		change(&r)
	}
	return r
}

// readJob returns what b, the record of a job, says.
func readJob(t *testing.T, b []byte, base int64) queue.Record {
	t.Helper()
	var e entry
	rest, err := readRecord(b, base, &e)
	if err != nil || len(rest) != 0 || e.size != len(b) {
		t.Fatalf("readRecord: got rest of %d bytes, size %d, %v, want 0, %d, nil", len(rest), e.size, err, len(b))
	}
	e.job.Tube = newReplay(nil).tubeName(e.tube)
	return e.job
}

func TestJobRoundTrip(t *testing.T) {
	const far = math.MaxUint32 * int64(time.Second)
	for _, tt := range []struct {
		name   string
		change func(*queue.Record)
	}{
		{"plain", nil},
		{"largest id", func(r *queue.Record) { r.ID = math.MaxUint64 }},
		{"longest tube", func(r *queue.Record) { r.Tube = strings.Repeat("t", 200) }},
		{"largest pri", func(r *queue.Record) { r.Pri = math.MaxUint32 }},
		{"created long before", func(r *queue.Record) { r.Created = 0 }},
		{"created after", func(r *queue.Record) { r.Created = base + 5 }},
		{"created at the end of time", func(r *queue.Record) { r.Created = math.MaxInt64 }},
		{"delay in ns", func(r *queue.Record) { r.Delay = 1 }},
		{"longest delay", func(r *queue.Record) { r.State, r.Delay, r.At = queue.Delayed, far, base+far }},
		{"delayed from the base", func(r *queue.Record) { r.State, r.Delay, r.At = queue.Delayed, 5, base+5 }},
		{"delayed from elsewhere", func(r *queue.Record) { r.State, r.Delay, r.At = queue.Delayed, 5, base-77 }},
		{"delayed for ever", func(r *queue.Record) { r.State, r.At = queue.Delayed, math.MaxInt64 }},
		{"longest TTR", func(r *queue.Record) { r.TTR = far }},
		{"TTR in ns", func(r *queue.Record) { r.TTR = 1e9 + 1 }},
		{"buried", func(r *queue.Record) { r.State, r.Burial = queue.Buried, math.MaxUint64 }},
		{"first buried", func(r *queue.Record) { r.State, r.Burial = queue.Buried, 1 }},
		{"reserves", func(r *queue.Record) { r.Reserves = 1 }},
		{"timeouts", func(r *queue.Record) { r.Timeouts = 2 }},
		{"releases", func(r *queue.Record) { r.Releases = 3 }},
		{"buries", func(r *queue.Record) { r.Buries = 4 }},
		{"kicks", func(r *queue.Record) { r.Kicks = 5 }},
		{"all counts at their limit", func(r *queue.Record) {
			r.Reserves, r.Timeouts, r.Releases, r.Buries, r.Kicks = math.MaxUint32, math.MaxUint32-1, math.MaxUint32-2, math.MaxUint32-3, math.MaxUint32-4
		}},
		{"everything", func(r *queue.Record) {
			*r = queue.Record{ID: 1 << 60, Tube: "a", State: queue.Delayed, Pri: 1, Created: base - 2, Delay: 3, TTR: 4, At: base + 5,
				Reserves: 7, Timeouts: 8, Releases: 9, Buries: 10, Kicks: 11, Body: []byte("body")}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for _, size := range []int{0, 1, 0x3e, 0x3f, 0x40, 0x41, 0x7f, 0x80, 300, 16383, 16384, 1 << 17} {
				want := aJob(tt.change)
				want.Body = bytes.Repeat([]byte{0xa5}, size)
				before := []byte("before")
				b := appendJob(bytes.Clone(before), base, &want, false)
				if !bytes.HasPrefix(b, before) {
					t.Fatal("what stood before is changed")
				}
				if got := readJob(t, b[len(before):], base); !reflect.DeepEqual(got, want) {
					t.Fatalf("%d bytes: got %+v, want %+v", size, got, want)
				}
				if over := len(b) - len(before) - len(want.Tube) - size; over > recordOverhead {
					t.Errorf("a record needs %d bytes besides tube and body, want %d at most", over, recordOverhead)
				}
			}
			want := aJob(tt.change)
			got := readJob(t, appendChange(nil, base, &want), base)
			want.Tube, want.Created, want.TTR, want.Body = got.Tube, got.Created, got.TTR, got.Body
			if !reflect.DeepEqual(got, want) {
				t.Errorf("change: got %+v, want %+v", got, want)
			}
		})
	}
}

func TestOtherRoundTrips(t *testing.T) {
	read := func(b []byte) (e entry) {
		t.Helper()
		if rest, err := readRecord(b, base, &e); err != nil || len(rest) > 0 {
			t.Fatalf("readRecord: got rest %d, %v", len(rest), err)
		}
		return e
	}
	for _, id := range []uint64{1, 127, 128, math.MaxUint64} {
		if e := read(appendEnd(nil, id)); e.kind != kindEnd || e.job.ID != id {
			t.Errorf("end: got kind %d, job %d, want %d, %d", e.kind, e.job.ID, kindEnd, id)
		}
	}
	for _, want := range []queue.Pause{
		{Tube: "a", Until: base + 1, Length: 1}, {Tube: strings.Repeat("t", 200), Until: math.MaxInt64, Length: math.MaxUint32 * int64(time.Second)},
		{Tube: "default", Until: base - 1, Length: int64(time.Second)}, {Tube: "b"},
	} {
		e := read(appendPause(nil, base, want))
		e.pause.Tube = string(e.tube)
		if e.kind != kindPause || e.pause != want {
			t.Errorf("pause: got kind %d, %+v, want %+v", e.kind, e.pause, want)
		}
	}
	for _, want := range []mark{
		{nextID: 1}, {nextID: math.MaxUint64, burials: math.MaxUint64, first: math.MaxUint64, position: math.MaxInt64, previous: math.MaxInt64, stopped: true},
		{nextID: 5, burials: 1}, {nextID: 5, first: 1}, {nextID: 5, position: 1}, {nextID: 5, previous: 1}, {nextID: 5, stopped: true},
	} {
		if e := read(appendMark(nil, want)); e.kind != kindMark || e.mark != want {
			t.Errorf("mark: got kind %d, %+v, want %+v", e.kind, e.mark, want)
		}
	}
}

// TestRecordBytes has the bytes of records. They must never change: there are
// journals that have them.
func TestRecordBytes(t *testing.T) {
	delayed := aJob(func(r *queue.Record) {
		r.Tube, r.State, r.Pri, r.Created, r.Delay, r.At = "ab", queue.Delayed, 300, base-1, 2e9, base+2e9+1
		r.Body = []byte("hi")
	})
	buried := aJob(func(r *queue.Record) {
		r.State, r.Burial, r.Reserves, r.Timeouts, r.Releases, r.Buries, r.Kicks = queue.Buried, 9, 1, 2, 3, 4, 5
	})
	long := aJob(func(r *queue.Record) { r.Body = bytes.Repeat([]byte("x"), 200) })
	for _, tt := range []struct {
		name string
		got  []byte
		want string // hex
	}{
		// kind length, then key value: key is tag*2, and 1 more before a length.
		{"delayed job", appendJob(nil, base, &delayed, false), "01 1b" + "02 07" + "05 02 6162" + "0a 02" + "0e 78" + "08 ac02" + "0c 04" + "06 01" + "10 82d0acf30e" + "1f 02 6869"},
		{"long job", appendJob(nil, base, &long, false), "01 cf01" + "02 07" + "0e 78" + "1f c801" + strings.Repeat("78", 200)},
		{"buried", appendChange(nil, base, &buried), "02 10" + "02 07" + "06 02" + "12 09" + "14 01" + "16 02" + "18 03" + "1a 04" + "1c 05"},
		{"end", appendEnd(nil, 300), "03 03 02 ac02"},
		{"pause", appendPause(nil, base, queue.Pause{Tube: "ab", Until: base + 1, Length: 1e9}), "04 08 05 02 6162 0c 02 10 02"},
		{"pause of ns", appendPause(nil, base, queue.Pause{Tube: "ab", Until: base + 1, Length: 1}), "04 08 05 02 6162 0c 03 10 02"},
		{"end of a pause", appendPause(nil, base, queue.Pause{Tube: "ab"}), "04 04 05 02 6162"},
		{"mark", appendMark(nil, mark{5, 4, 3, 2, 1, true}), "05 0c 02 05 12 04 20 03 22 02 24 01 26 01"},
	} {
		if got, want := hex.EncodeToString(tt.got), strings.ReplaceAll(tt.want, " ", ""); got != want {
			t.Errorf("%s: got\n%s, want\n%s", tt.name, got, want)
		}
	}
}

func TestUnknownRecords(t *testing.T) {
	job := aJob(nil)
	field := func(b []byte, more ...byte) []byte { // into a short record
		b = append(bytes.Clone(b), more...)
		b[1] += byte(len(more))
		return b
	}
	var e entry
	for _, tt := range []struct {
		name string
		b    []byte
		err  string // "" if none
	}{
		{"number of an unknown tag", field(appendJob(nil, base, &job, false), 100<<1, 0xff, 1), ""},
		{"bytes of an unknown tag", field(appendJob(nil, base, &job, false), 127<<1|1, 3, 1, 2, 3), ""},
		{"unknown tag in a change", field(appendChange(nil, base, &job), 100<<1, 5), ""},
		{"unknown tag in an end", field(appendEnd(nil, 7), 100<<1|1, 0), ""},
		{"unknown tag in a mark", field(appendMark(nil, mark{}), 100<<1, 5), ""},
		{"optional kind", []byte{kindOptional, 2, 1, 2}, ""},
		{"largest optional kind", []byte{255, 0}, ""},
		{"mandatory kind", []byte{kindOptional - 1, 0}, "kind 63"},
		{"kind 0", []byte{0, 0}, "kind 0"},
		{"kind 7", []byte{7, 0}, "kind 7"},
		{"unknown tag in a move", field(appendMove(nil, base, &job), 100<<1, 5), ""},
		{"unknown state", field(appendEnd(nil, 7), tagState<<1, 3), "state 3"},
		{"no id", []byte{kindJob, 0}, "malformed"},
		{"nothing", nil, "malformed"},
		{"no length", []byte{kindEnd}, "malformed"},
		{"longer than what there is", []byte{kindEnd, 3, 2, 7}, "malformed"},
		{"length without end", []byte{kindEnd, 0x80, 0x80}, "malformed"},
		{"field without value", []byte{kindEnd, 1, 2}, "malformed"},
		{"field longer than the record", []byte{kindJob, 4, 2, 7, 0x1f, 9}, "malformed"},
		{"huge length", []byte{kindEnd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, "malformed"},
	} {
		b := append(bytes.Clone(tt.b), "rest"...)
		if tt.name == "nothing" || strings.HasPrefix(tt.name, "no length") || strings.HasPrefix(tt.name, "longer") || strings.HasPrefix(tt.name, "length without") {
			b = tt.b
		}
		rest, err := readRecord(b, base, &e)
		switch {
		case tt.err == "" && (err != nil || string(rest) != "rest"):
			t.Errorf("%s: got %q, %v, want the rest and no error", tt.name, rest, err)
		case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
			t.Errorf("%s: got %v, want an error about %q", tt.name, err, tt.err)
		}
	}
}
