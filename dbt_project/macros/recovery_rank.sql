{% macro recovery_rank(stage_code) -%}
    {#- How far council tax recovery has gone: 0 for stages that are no demand (arrangement, cleared). -#}
    case {{ stage_code }}
        when 'REMINDER1' then 1
        when 'REMINDER2' then 2
        when 'FINAL' then 3
        when 'SUMMONS' then 4
        when 'LIABILITY_ORDER' then 5
        when 'ENFORCEMENT' then 6
        else 0
    end
{%- endmacro %}
