package policy

import (
	"encoding/json"
	"math"
)

// Normal is object as the API server reads it, copied: a key without a value is
// no key, and a whole number is an int64 however it was decoded. Elements of
// lists stay where they are.
func Normal(object map[string]any) map[string]any {
	out := make(map[string]any, len(object))
	for k, v := range object {
		if v = normal(v); v != nil {
			out[k] = v
		}
	}
	return out
}

func normal(v any) any {
	switch v := v.(type) {
	case map[string]any:
		if v == nil {
			return nil
		}
		return Normal(v)
	case []any:
		if v == nil {
			return nil
		}
		out := make([]any, len(v))
		for i, e := range v {
			out[i] = normal(e)
		}
		return out
	case int:
		return int64(v)
	case int32:
		return int64(v)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
		return v
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		if f, err := v.Float64(); err == nil {
			return normal(f)
		}
		return v.String()
	}
	return v
}
