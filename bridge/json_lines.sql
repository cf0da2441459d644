-- One row per line: whether it is an object, and its keys, texts and types at the paths of the contract.
-- DuckDB reads JSON without recursion, so that deep nesting costs nothing but its own length.
select
    row_number,
    line,
    -- Nested, since both sides of an `and` are worked out, and what is no JSON has no type.
    coalesce(case when json_valid(line) then json_type(line) = 'OBJECT' end, false) as is_object,
    case when is_object then json_keys(line, $objects) end as keys,
    case when is_object then json_extract_string(line, $values) end as texts,
    coalesce(
        case
            when is_object then len(list_filter(
                json_type(line, $values), lambda kind: kind = 'ARRAY' or kind = 'OBJECT'
            )) > 0
        end,
        false
    ) as holds_several,
    coalesce(len(list_filter(keys, lambda found: len(found) > len(list_distinct(found)))) > 0, false)
        as repeats_a_name
from lines
