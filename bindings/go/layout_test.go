package libdsa

import (
	"reflect"
	"strings"
	"testing"
	"unicode"
)

// snake is the name in dsa.h: SlotPageStrideB is slot_page_stride_b.
func snake(name string) string {
	for _, word := range []string{"ReLU", "LSE", "KV2", "KV", "Q2", "ID"} {
		name = strings.Replace(name, word, strings.ToUpper(word[:1])+strings.ToLower(word[1:]), 1)
	}
	var out strings.Builder
	for i, r := range name {
		if unicode.IsUpper(r) && i > 0 {
			out.WriteByte('_')
		}
		out.WriteRune(unicode.ToLower(r))
	}
	return out.String()
}

func TestStructsAreThoseOfTheHeader(t *testing.T) {
	for ours, theirs := range cTypes() {
		if ours.Size() != theirs.Size() {
			t.Errorf("%v has %d bytes, %v has %d", ours, ours.Size(), theirs, theirs.Size())
		}
		found := 0
		for _, field := range reflect.VisibleFields(ours) {
			if field.Name == "_" || field.Anonymous {
				continue
			}
			if ours == reflect.TypeFor[Tensor]() && (field.Name == "misfit" || field.Name == "length") {
				continue // in the reserved words
			}
			name := snake(field.Name)
			counterpart, ok := theirs.FieldByName(name)
			if !ok {
				t.Errorf("%v.%s: no %s in %v", ours, field.Name, name, theirs)
				continue
			}
			if field.Offset != counterpart.Offset || field.Type.Size() != counterpart.Type.Size() {
				t.Errorf("%v.%s: offset %d, size %d; in C %d, %d", ours, field.Name, field.Offset,
					field.Type.Size(), counterpart.Offset, counterpart.Type.Size())
			}
			found++
		}
		if found < 4 {
			t.Errorf("%v: only %d fields were compared", ours, found)
		}
	}
}
