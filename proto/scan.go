package proto

// number reads a number at the front of s as beanstalkd 1.13 reads all of them
// but kick's: any number of spaces (no other white space), then digits, any
// number of leading zeros, no sign. It is not ok if there is no digit or the
// value is over limit. Digits are taken greedily, so between two numbers there
// has to be a space.
func number(s []byte, limit uint64) (v uint64, rest []byte, ok bool) {
	s = trimSpaces(s)
	v, n, ok := digits(s)
	return v, s[n:], ok && n > 0 && v <= limit
}

func number32(s []byte) (v uint32, rest []byte, ok bool) {
	wide, rest, ok := number(s, 1<<32-1)
	return uint32(wide), rest, ok
}

// kickCount reads kick's number as beanstalkd 1.13 does, which is with C's
// strtoul and then 32 bits of the result: "-1" is 4294967295 and "4294967296"
// is 0. It is not ok without a digit, or with more than 64 bits.
func kickCount(s []byte) (count uint32, ok bool) {
	v, negative, n, ok := cInteger(s)
	if negative {
		v = -v
	}
	return uint32(v), ok && n > 0
}

// laxTimeout reads the number of reserve-with-timeout as beanstalkd 1.12 did,
// which was with C's strtol and then 32 bits of the result: no digits are 0,
// and what comes out negative, 2147483648 for one, waits forever. It is not ok
// only if the number does not fit in a long.
func laxTimeout(s []byte) (seconds int64, ok bool) {
	v, negative, _, ok := cInteger(s)
	limit := uint64(1<<63 - 1)
	if negative {
		limit = 1 << 63
	}
	if !ok || v > limit {
		return 0, false
	}
	if negative {
		v = -v
	}
	if int32(v) < 0 {
		return Forever, true
	}
	return int64(int32(v)), true
}

// cInteger reads what C's strtol and strtoul accept in base 10: white space, a
// sign, n digits. It is not ok if the magnitude is over 64 bits.
func cInteger(s []byte) (magnitude uint64, negative bool, n int, ok bool) {
	for len(s) > 0 && isCSpace(s[0]) {
		s = s[1:]
	}
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		negative = s[0] == '-'
		s = s[1:]
	}
	magnitude, n, ok = digits(s)
	return magnitude, negative, n, ok
}

// isCSpace is C's isspace in the C locale. CR is in it for completeness: a
// command line cannot hold one.
func isCSpace(c byte) bool {
	return c == ' ' || '\t' <= c && c <= '\r'
}

// digits reads the n digits at the front of s, perhaps none. It is not ok if
// their value is over 64 bits; n then counts those before it went over.
func digits(s []byte) (v uint64, n int, ok bool) {
	for n < len(s) {
		digit := uint64(s[n] - '0') // any other byte wraps or is over 9
		if digit > 9 {
			break
		}
		next := v*10 + digit
		if v > (1<<64-1)/10 || next < digit {
			return 0, n, false
		}
		v = next
		n++
	}
	return v, n, true
}

func trimSpaces(s []byte) []byte {
	for len(s) > 0 && s[0] == ' ' {
		s = s[1:]
	}
	return s
}

// name returns the longest front of s that consists of tube name bytes.
func name(s []byte) (token, rest []byte) {
	n := 0
	for n < len(s) && isNameByte[s[n]] {
		n++
	}
	return s[:n], s[n:]
}

// ValidTube reports whether name is one a tube can have: 1 to MaxTubeName
// bytes of letters, digits and -+/;.$_(), not beginning with a hyphen. It takes
// time in proportion to the name.
func ValidTube(name []byte) bool {
	if len(name) == 0 || len(name) > MaxTubeName || name[0] == '-' {
		return false
	}
	for _, c := range name {
		if !isNameByte[c] {
			return false
		}
	}
	return true
}

var isNameByte = byteSet("ABCDEFGHIJKLMNOPQRSTUVWXYZ" +
	"abcdefghijklmnopqrstuvwxyz" +
	"0123456789" +
	"-+/;.$_()")

func byteSet(members string) (set [256]bool) {
	for i := range len(members) {
		set[members[i]] = true
	}
	return set
}
